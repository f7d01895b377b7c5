import { afterEach } from 'vitest';
import { requireSecurityHeader } from '../../agent/api/workload/security-header.ts';
import { workloadApi } from '../../agent/api/workload/service.ts';
import { type WorkloadApiConfig } from '../../agent/api/workload/dependencies.ts';
import type { HeldX509Svid, WorkloadCache } from '../../agent/cache/contract.ts';
import { createWorkloadCache } from '../../agent/cache/workload-cache.ts';
import type { AgentEntry } from '../../agent/server-client/contract.ts';
import { workloadAttestation } from '../../agent/workload/attestation.ts';
import { ManualClock } from '../../common/clock.ts';
import type { FinialError } from '../../common/errors.ts';
import type { LogFields, Logger } from '../../common/log/logger.ts';
import type { PeerProcess } from '../../common/net/peer-process.ts';
import { silentLogger } from '../../common/log/logger.ts';
import type { CallOptions, RpcChannel } from '../../common/rpc/client.ts';
import { workloadService } from '../../common/rpc/services.ts';
import type { JWTBundlesResponse__Output } from '../../proto/gen/workload/JWTBundlesResponse.ts';
import type { X509BundlesResponse__Output } from '../../proto/gen/workload/X509BundlesResponse.ts';
import type { X509SVIDResponse__Output } from '../../proto/gen/workload/X509SVIDResponse.ts';
import { type Bundle, emptyBundle } from '../../spiffe/bundle/bundle.ts';
import { parseSpiffeId } from '../../spiffe/id.ts';
import { signJwtSvid } from '../../spiffe/jwt/sign.ts';
import { formatSelector, parseSelector } from '../../spiffe/selector.ts';
import { parseTrustDomain, type TrustDomain } from '../../spiffe/trust-domain.ts';
import { generateSigner, type PrivateKeySigner } from '../../spiffe/x509/key.ts';
import { issueCa, issueSvid } from './pki.ts';
import { rpcPair } from './rpc-pair.ts';

export const ownTrustDomain = parseTrustDomain('example.org');

/** A line of the log, as far as tests look. */
export interface LogLine {
  readonly message: string;
  readonly fields: LogFields;
}

/** An authority of one trust domain, with its bundle. */
export interface TestAuthority {
  readonly bundle: Bundle;
  readonly jwtSigner: PrivateKeySigner;
  svidFor(entry: AgentEntry): HeldX509Svid;
  token(o: { readonly id: string; readonly audience: readonly string[]; readonly now: number }): Promise<string>;
}

const LIFETIME_S = 300;

export async function testAuthority(trustDomain: TrustDomain): Promise<TestAuthority> {
  const ca = issueCa();
  const jwtSigner = await generateSigner('ec-p256');
  const keyId = `key of ${trustDomain}`;
  const jwtAuthority = { publicKey: jwtSigner.publicKey, keyId, expiresAt: 0, tainted: false };
  return {
    jwtSigner,
    bundle: {
      ...emptyBundle(trustDomain),
      x509Authorities: [{ certificate: ca.der, tainted: false }],
      jwtAuthorities: [jwtAuthority],
      sequenceNumber: 1n,
    },
    svidFor({ spiffeId, revisionNumber }) {
      const leaf = issueSvid(ca, spiffeId);
      const { privateKey } = leaf.key;
      return { chain: [leaf.der], privateKey, notBefore: 0, notAfter: 1, receivedAt: 0, revisionNumber };
    },
    token: ({ id, audience, now }) =>
      signJwtSvid({
        ...{ signer: jwtSigner, keyId, audience, id: parseSpiffeId(id) },
        issuedAt: Math.floor(now / 1000),
        expiresAt: Math.floor(now / 1000) + LIFETIME_S,
        issuer: 'https://issuer.example',
      }),
  };
}

export function testEntry(id: string, selectors: readonly string[], more: Partial<AgentEntry> = {}): AgentEntry {
  return {
    id,
    spiffeId: parseSpiffeId(`spiffe://${ownTrustDomain}/${id}`),
    selectors: selectors.map(parseSelector),
    federatesWith: [],
    admin: false,
    downstream: false,
    revisionNumber: 0,
    storeSvid: false,
    hint: '',
    createdAt: 1,
    ...more,
  };
}

export interface WorkloadApiFixture {
  readonly channel: RpcChannel;
  /** Where it listens. */
  readonly socketPath: string;
  readonly cache: WorkloadCache;
  readonly clock: ManualClock;
  readonly authority: TestAuthority;
  readonly log: LogLine[];
  /** What the next calls meet. */
  readonly state: {
    /** What the attestor says of the caller, as text. */
    selectors: readonly string[];
    /** Whether the process that called is still there when it was looked at. */
    callerLives: boolean;
    attestorFails: boolean;
    jwtFailure: FinialError | undefined;
  };
  readonly setEntries: (entries: readonly AgentEntry[], bundle?: Bundle, federated?: readonly Bundle[]) => void;
  /** Signs for the entries of these IDs, for all without any. */
  readonly sign: (...ids: string[]) => void;
  readonly stop: (graceMs: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** The Workload API over a real Unix socket, above a real cache; only the caller and the server are made up. */
export async function workloadApiFixture(config: Partial<WorkloadApiConfig> = {}): Promise<WorkloadApiFixture> {
  const authority = await testAuthority(ownTrustDomain);
  const clock = new ManualClock();
  const log: LogLine[] = [];
  const state: WorkloadApiFixture['state'] = {
    selectors: ['u:1'],
    callerLives: true,
    attestorFails: false,
    jwtFailure: undefined,
  };
  const cache = createWorkloadCache({ bundle: authority.bundle, log: silentLogger });
  const process: PeerProcess = { pid: 1, uid: 1, gid: 1, isSame: () => state.callerLives, close: () => undefined };
  const attestor = {
    attest: async () => {
      if (state.attestorFails) throw new Error('cannot look');
      return state.selectors.map(parseSelector);
    },
  };
  const attestation = workloadAttestation({ attestors: new Map([['u', attestor]]), log: silentLogger });
  const service = workloadApi({
    ...{ cache, clock, log: recorder(log) },
    attest: (peer, signal) => attestation.attest(peer, signal),
    jwtSvids: {
      async get({ spiffeId }, audience) {
        if (state.jwtFailure !== undefined) throw state.jwtFailure;
        const token = await authority.token({ id: spiffeId, audience, now: clock.now() });
        return { token, issuedAt: 0, expiresAt: 1 };
      },
    },
    config: { allowUnauthenticatedVerifiers: false, allowedForeignJwtClaims: [], ...config },
    isLoggable: (selector) => formatSelector(selector).startsWith('public:'),
  });
  const pair = await rpcPair([service], {
    interceptors: [requireSecurityHeader],
    peer: () => ({ transport: 'unix', process }),
  });
  return {
    ...{ authority, cache, clock, log, state },
    channel: pair.channel,
    socketPath: pair.socketPath,
    close: () => pair.close(),
    setEntries(entries, bundle = authority.bundle, federated = []) {
      const byDomain = new Map(federated.map((one) => [one.trustDomain, one]));
      cache.setEntries(new Map(entries.map((one) => [one.id, one])), bundle, byDomain);
    },
    sign(...ids) {
      const wanted = [...cache.entries.values()].filter(({ id }) => ids.length === 0 || ids.includes(id));
      cache.setSvids(new Map(wanted.map((one) => [one.id, authority.svidFor(one)])));
    },
    stop: (graceMs) => pair.server.stop(graceMs),
  };
}

function recorder(lines: LogLine[], bound: LogFields = {}): Logger {
  const add = (message: string, fields: LogFields = {}): void =>
    void lines.push({ message, fields: { ...bound, ...fields } });
  return {
    ...{ error: add, warn: add, info: add, debug: add, trace: add },
    with: (fields) => recorder(lines, { ...bound, ...fields }),
  };
}

/** The header that each call of the Workload API needs. */
export const withHeader: CallOptions = { metadata: { 'workload.spiffe.io': 'true' }, timeoutMs: 5000 };

/** Streams whose messages are drawn one at a time, by `next`; the test leaves them by `return`. */
export function openX509(channel: RpcChannel): AsyncIterator<X509SVIDResponse__Output, unknown> {
  return channel.serverStream(workloadService(), 'FetchX509SVID', {}, withHeader)[Symbol.asyncIterator]();
}
export function openX509Bundles(channel: RpcChannel): AsyncIterator<X509BundlesResponse__Output, unknown> {
  return channel.serverStream(workloadService(), 'FetchX509Bundles', {}, withHeader)[Symbol.asyncIterator]();
}
export function openJwtBundles(channel: RpcChannel): AsyncIterator<JWTBundlesResponse__Output, unknown> {
  return channel.serverStream(workloadService(), 'FetchJWTBundles', {}, withHeader)[Symbol.asyncIterator]();
}
export const openers = { FetchX509SVID: openX509, FetchX509Bundles: openX509Bundles, FetchJWTBundles: openJwtBundles };

/** The next message of a stream that goes on. */
export async function next<T>(stream: AsyncIterator<T, unknown>): Promise<T> {
  const { done, value } = await stream.next();
  if (done === true) throw new Error('the stream has ended');
  return value;
}

/** Starts Workload APIs that end with the test that started them. */
export function startedWorkloadApis(): typeof workloadApiFixture {
  const started: WorkloadApiFixture[] = [];
  afterEach(async () => {
    for (const one of started.splice(0)) await one.close();
  });
  return async (...config) => {
    const fixture = await workloadApiFixture(...config);
    started.push(fixture);
    return fixture;
  };
}

/** Lets an agent serve the identities `a` and `b`, of which `a` federates with `other`, and `c` to another workload. */
export async function withTwoIdentities(agent: WorkloadApiFixture, other: TrustDomain) {
  const foreign = await testAuthority(other);
  agent.setEntries(
    [
      testEntry('b', ['u:1'], { hint: 'web' }),
      testEntry('a', ['u:1'], { federatesWith: [other] }),
      testEntry('c', ['u:2']),
    ],
    agent.authority.bundle,
    [foreign.bundle],
  );
  agent.sign();
  return { ...agent, foreign };
}
