import { type Clock, systemClock } from '../../common/clock.ts';
import { type ErrorCode, FinialError } from '../../common/errors.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import { parseSpiffeId, trustDomainOf } from '../../spiffe/id.ts';
import { parseTrustDomain, type TrustDomain } from '../../spiffe/trust-domain.ts';
import type { X509Svid } from '../source.ts';
import { createTestAuthority, type TestAuthority, type X509SvidOptions } from './authority.ts';
import { callLog, type FakeCall, requireSecurityHeader } from './calls.ts';
import { testEndpoint } from './endpoint.ts';
import { type FailureOptions, script, WORKLOAD_METHODS, type WorkloadMethod } from './script.ts';
import { fakeService } from './service.ts';
import type { FakeState } from './state.ts';
import { openStreams } from './streams.ts';

/** How the fake is to be. */
export interface FakeWorkloadApiOptions {
  /** The own trust domain, name or ID; `example.org` when absent. */
  readonly trustDomain?: string;
  /** An authority to share between fakes and servers of a test, in place of a new one for `trustDomain`. */
  readonly authority?: TestAuthority;
  /** A Unix socket unless said otherwise; `tcp` is a free port of 127.0.0.1. */
  readonly transport?: 'unix' | 'tcp';
  /** Tells when SVIDs begin and tokens end; the machine's own when absent. */
  readonly clock?: Pick<Clock, 'now'>;
  /** How long tokens of FetchJWTSVID are valid; 300 when absent. */
  readonly jwtTtlSeconds?: number;
  /** Answers the calls of WIT-SVIDs, which are incubating. They are `unimplemented` unless asked for. */
  readonly wit?: boolean;
}

/** The identities and bundles of the workload, all at once. */
export interface FakeX509 {
  /** The default identity first. Each must be of a trust domain that `authority` or `authorityOf` stands for. */
  readonly svids: readonly X509Svid[];
  /** Trust domains to federate with, in place of those so far. Those so far stay when absent. */
  readonly federated?: readonly (TestAuthority | Bundle)[];
  /** DER of revocation lists. */
  readonly crl?: readonly Buffer[];
}

/**
 * A Workload API for the tests of applications: a real gRPC server at a real address, in this process, that does what a
 * test tells it. Without an identity it refuses, as agents do, but gives bundles to everybody.
 *
 *     await using fake = await createFakeWorkloadApi();
 *     await fake.issue('spiffe://example.org/web');
 *     const source = await createX509Source({ address: fake.address });
 */
export interface FakeWorkloadApi extends AsyncDisposable {
  /** For SPIFFE_ENDPOINT_SOCKET, or the option `address` of clients. The same through restarts. */
  readonly address: string;
  /** Issues for the own trust domain. When its bundle changes, open streams hear of it. */
  readonly authority: TestAuthority;
  /** Every call, refused ones too, in order. */
  readonly calls: readonly FakeCall[];
  /** The identities of the workload now. */
  readonly svids: readonly X509Svid[];

  /** The authority of a trust domain, made when there is none yet. Nobody is federated by that. */
  authorityOf(trustDomain: string): Promise<TestAuthority>;
  /**
   * Gives the workload one more identity, in place of one with the same ID and hint.
   *
   * @param id of any trust domain; an authority for it is made when there is none yet
   * @throws SpiffeError `invalid-id`
   */
  issue(id: string, options?: X509SvidOptions): Promise<X509Svid>;
  /** Sets all identities. @throws TypeError when one is of a trust domain without an authority here */
  setX509(x509: FakeX509): void;
  /** New SVIDs that say the same, with new keys under the same roots, as an agent sends at half of their life. */
  renew(): Promise<void>;
  /** New roots and token keys, new SVIDs under them; the old roots stay in the bundles. Streams hear of it once. */
  rotate(): Promise<void>;
  /**
   * Adds the bundle of another trust domain, which then follows its authority.
   *
   * @param other an authority, a bundle as it is, or the name of a trust domain, whose authority is made when needed
   */
  federate(other: TestAuthority | Bundle | string): Promise<void>;
  /** Takes such a bundle away. */
  unfederate(trustDomain: string): void;
  /** Takes everything away: streams end with `permission-denied` and calls are refused so until `recover` or `issue`. */
  revoke(): void;

  /** Refuses the next calls, before anything else is looked at. Open streams go on: see `breakStreams`. */
  fail(code: ErrorCode, options?: FailureOptions): void;
  /** Says nothing more on streams, open and new, and answers no call, until `recover`. All methods when absent. */
  silence(methods?: readonly WorkloadMethod[]): void;
  /** Ends open streams with OK, as an agent that restarts in good order. All methods when absent. */
  endStreams(methods?: readonly WorkloadMethod[]): void;
  /** Ends open streams with a failure. All methods when absent. */
  breakStreams(code: ErrorCode, methods?: readonly WorkloadMethod[]): void;
  /** Sends bytes in place of a message: on open streams at once; where none is open, as the next message or answer. */
  sendRaw(method: WorkloadMethod, bytes: Uint8Array): void;
  /** Forgets `fail`, `silence`, unsent raw bytes and `revoke`, and tells streams what has changed meanwhile. */
  recover(): void;

  /** How many streams of a method are open. */
  streamCount(method: WorkloadMethod): number;
  /** Resolves when a method was called so many times since the fake was made. */
  waitForCalls(method: WorkloadMethod, count: number): Promise<void>;

  /** Breaks all connections and listens no more, as a crash. */
  stop(): Promise<void>;
  /** Listens again at the same address. */
  start(): Promise<void>;
  /** `stop` and `start`. */
  restart(): Promise<void>;
}

const JWT_TTL_S = 300;

/** Serves at once. @throws SpiffeError `invalid-trust-domain` */
export async function createFakeWorkloadApi(options: FakeWorkloadApiOptions = {}): Promise<FakeWorkloadApi> {
  const { trustDomain = 'example.org', clock = systemClock, transport = 'unix', wit = false } = options;
  const authority = options.authority ?? (await createTestAuthority(trustDomain, { clock }));
  const streams = openStreams();
  const held = holdState(authority, clock, () => streams.wake());
  const told = script();
  const log = callLog(() => clock.now());
  const now = () => clock.now();
  const jwtTtlSeconds = options.jwtTtlSeconds ?? JWT_TTL_S;
  const service = fakeService({ ...{ streams, now, jwtTtlSeconds, wit }, state: () => held.state, script: told });
  const interceptors = [log.record, requireSecurityHeader];
  const endpoint = await testEndpoint({ transport, interceptors, services: [service] });
  return {
    ...{ address: endpoint.address, authority, calls: log.calls },
    stop: () => endpoint.stop(),
    start: () => endpoint.start(),
    waitForCalls: (method, count) => log.waitFor(method, count),
    get svids() {
      return held.state.svids;
    },
    ...identities(held),
    fail: (code, failure = {}) => told.fail(code, failure),
    silence: (methods = WORKLOAD_METHODS) => told.silence(methods),
    endStreams: (methods = WORKLOAD_METHODS) => streams.tell(methods, { end: undefined }),
    breakStreams: (code, methods = WORKLOAD_METHODS) =>
      streams.tell(methods, { end: new FinialError(code, 'scripted failure') }),
    sendRaw(method, bytes) {
      const message = Buffer.from(bytes);
      if (streams.count(method) === 0) told.answerRaw(method, message);
      else streams.tell([method], { message });
    },
    recover() {
      told.clear();
      held.set({ revoked: false });
    },
    streamCount: (method) => streams.count(method),
    async restart() {
      await endpoint.stop();
      await endpoint.start();
    },
    async [Symbol.asyncDispose]() {
      held.close();
      told.clear();
      await endpoint.close();
    },
  };
}

/** The state, and who tells the streams that it has changed. */
interface HeldState {
  readonly state: FakeState;
  set(change: Partial<FakeState>): void;
  authorityOf(trustDomain: TrustDomain): Promise<TestAuthority>;
  adopt(authority: TestAuthority): void;
  /** Streams hear of what happens meanwhile when it is over, and of all of it at once. */
  atOnce(work: () => Promise<void>): Promise<void>;
  close(): void;
}

function holdState(authority: TestAuthority, clock: Pick<Clock, 'now'>, changed: () => void): HeldState {
  const authorities = new Map<TrustDomain, TestAuthority>();
  const unfollow: (() => void)[] = [];
  let working = 0;
  const tell = (): void => {
    if (working === 0) changed();
  };
  const adopt = (one: TestAuthority): void => {
    if (authorities.get(one.trustDomain) === one) return;
    authorities.set(one.trustDomain, one);
    unfollow.push(one.onUpdate(tell));
  };
  adopt(authority);
  let state: FakeState = { authority, authorities, svids: [], federated: new Map(), crl: [], revoked: false };
  return {
    get state() {
      return state;
    },
    set(change) {
      state = { ...state, ...change };
      tell();
    },
    async authorityOf(trustDomain) {
      const known = authorities.get(trustDomain);
      if (known !== undefined) return known;
      const made = await createTestAuthority(trustDomain, { clock });
      // Somebody else may have asked for it meanwhile.
      if (!authorities.has(trustDomain)) adopt(made);
      return authorities.get(trustDomain) ?? made;
    },
    adopt,
    async atOnce(work) {
      working += 1;
      try {
        await work();
      } finally {
        working -= 1;
        tell();
      }
    },
    close: () => unfollow.forEach((stop) => stop()),
  };
}

type Identities = Pick<
  FakeWorkloadApi,
  'authorityOf' | 'issue' | 'setX509' | 'renew' | 'rotate' | 'federate' | 'unfederate' | 'revoke'
>;

function identities(held: HeldState): Identities {
  const issuers = (): readonly TestAuthority[] => {
    const of = held.state.svids.map(({ id }) => held.state.authorities.get(trustDomainOf(id)));
    return [...new Set([held.state.authority, ...of])].filter((one) => one !== undefined);
  };
  const renew = async (): Promise<void> => {
    const renewed = held.state.svids.map(async (svid) =>
      (await held.authorityOf(trustDomainOf(svid.id))).renewX509(svid),
    );
    held.set({ svids: await Promise.all(renewed) });
  };
  return {
    authorityOf: (trustDomain) => held.authorityOf(parseTrustDomain(trustDomain)),
    async issue(id, options = {}) {
      const issuer = await held.authorityOf(trustDomainOf(parseSpiffeId(id)));
      const svid = await issuer.issueX509(id, options);
      const { svids } = held.state;
      const place = svids.findIndex((one) => one.id === svid.id && one.hint === svid.hint);
      held.set({ svids: place < 0 ? [...svids, svid] : svids.with(place, svid), revoked: false });
      return svid;
    },
    setX509({ svids, federated, crl }) {
      for (const { id } of svids) {
        if (!held.state.authorities.has(trustDomainOf(id)))
          throw new TypeError(`no authority of ${id}: see authorityOf`);
      }
      const others = federated === undefined ? {} : { federated: federatedMap(federated, held) };
      held.set({ svids: [...svids], revoked: false, ...others, ...(crl === undefined ? {} : { crl: [...crl] }) });
    },
    renew,
    rotate: () =>
      held.atOnce(async () => {
        await Promise.all(issuers().map((one) => one.rotate()));
        await renew();
      }),
    async federate(other) {
      const one = typeof other === 'string' ? await held.authorityOf(parseTrustDomain(other)) : other;
      held.set({ federated: new Map([...held.state.federated, ...federatedMap([one], held)]) });
    },
    unfederate(trustDomain) {
      const gone = parseTrustDomain(trustDomain);
      held.set({ federated: new Map([...held.state.federated].filter(([name]) => name !== gone)) });
    },
    revoke: () => held.set({ revoked: true }),
  };
}

function federatedMap(all: readonly (TestAuthority | Bundle)[], held: HeldState): FakeState['federated'] {
  const map = new Map<TrustDomain, Pick<TestAuthority, 'bundle'>>();
  for (const one of all) {
    if ('issueX509' in one) held.adopt(one);
    map.set(one.trustDomain, 'issueX509' in one ? one : { bundle: one });
  }
  return map;
}
