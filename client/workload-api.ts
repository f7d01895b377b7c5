import { createPrivateKey, type KeyObject } from 'node:crypto';
import { backoffDelay, type BackoffPolicy } from '../common/backoff.ts';
import { type Clock, systemClock } from '../common/clock.ts';
import { FinialError, hasCode, toFinialError } from '../common/errors.ts';
import { connectUnix, type RpcChannel } from '../common/rpc/client.ts';
import { workloadService } from '../common/rpc/services.ts';
import type { X509SVIDResponse__Output } from '../proto/gen/workload/X509SVIDResponse.ts';
import { parseSpiffeId, type SpiffeId, trustDomainOf } from '../spiffe/id.ts';
import { parseTrustDomain, type TrustDomain } from '../spiffe/trust-domain.ts';
import { parseCertificates, spiffeIdOf } from '../spiffe/x509/certificate.ts';
import { socketPathOf } from './endpoint.ts';

/** An X.509 identity of this process. */
export interface X509Svid {
  readonly id: SpiffeId;
  /** DER, leaf first, without the root. */
  readonly chain: readonly Buffer[];
  readonly privateKey: KeyObject;
  /** Unix milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** What the operator calls this identity; empty when it has no name. */
  readonly hint: string;
}

/** The certificates (DER) that verify the X509-SVIDs of each trust domain. */
export type X509Bundles = ReadonlyMap<TrustDomain, readonly Buffer[]>;

/** Everything that a process needs to prove who it is and to check its peers. Replaced as a whole on each update. */
export interface X509Context {
  /** The first one is the default identity (SPIFFE Workload API 8). Never empty. */
  readonly svids: readonly [X509Svid, ...X509Svid[]];
  readonly bundles: X509Bundles;
}

/** A JWT-SVID as the agent handed it out. */
export interface JwtSvid {
  readonly id: SpiffeId;
  readonly token: string;
  readonly hint: string;
}

/** A token that the agent judged to be valid. */
export interface ValidatedJwtSvid {
  readonly id: SpiffeId;
}

/** Where the Workload API is. */
export interface WorkloadApiOptions {
  /** `unix:///path`; taken from SPIFFE_ENDPOINT_SOCKET when absent. */
  readonly address?: string;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** The Workload API of the agent on this node (SPIFFE Workload API 5 and 6). */
export interface WorkloadApi {
  /**
   * The identities of this process: the current ones first, then each update. Reconnects by itself; ends without error
   * when `signal` aborts.
   *
   * @param onInterruption hears why the stream is being opened again
   * @throws FinialError when trying again cannot help: `invalid-argument` or `unimplemented`
   */
  watchX509(signal: AbortSignal, onInterruption?: (error: FinialError) => void): AsyncIterable<X509Context>;
  /** The current identities, once. @throws FinialError, `permission-denied` when this process has none */
  fetchX509(options?: CallOptions): Promise<X509Context>;
  /** One token per identity, or the one of `id`. @throws FinialError */
  fetchJwtSvids(
    request: { readonly audience: readonly string[]; readonly id?: SpiffeId },
    options?: CallOptions,
  ): Promise<readonly JwtSvid[]>;
  /** Lets the agent judge a token meant for `audience`. @throws FinialError `invalid-argument` when it is not valid */
  validateJwtSvid(token: string, audience: string, options?: CallOptions): Promise<ValidatedJwtSvid>;
  close(): void;
}

/** What bounds a single call. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  /** 5 seconds unless said otherwise. */
  readonly timeoutMs?: number;
}

/** SPIFFE Workload Endpoint 5: proves that no proxy was tricked into making the call. */
const metadata = { 'workload.spiffe.io': 'true' };

const DEFAULT_TIMEOUT_MS = 5000;
/** conformance.md 3.3: the first attempt after a healthy stream is immediate, later ones back off to half a minute. */
const RETRY: BackoffPolicy = { initial: 200, factor: 1.5, max: 30_000, jitter: 0.2 };

/** Connects lazily: nothing happens before the first call. @throws FinialError when the address is not usable */
export function workloadApi(options: WorkloadApiOptions = {}): WorkloadApi {
  const { clock = systemClock, random = Math.random } = options;
  const channel = connectUnix(socketPathOf(options.address));
  const call = ({ signal, timeoutMs = DEFAULT_TIMEOUT_MS }: CallOptions = {}) =>
    signal === undefined ? { timeoutMs, metadata } : { timeoutMs, metadata, signal };
  return {
    watchX509: (signal, onInterruption) => watch(channel, { clock, random, onInterruption }, signal),
    async fetchX509(callOptions) {
      for await (const response of channel.serverStream(workloadService(), 'FetchX509SVID', {}, call(callOptions))) {
        return toContext(response);
      }
      throw new FinialError('unavailable', 'the agent ended the stream without an answer');
    },
    async fetchJwtSvids({ audience, id }, callOptions) {
      const request = { audience, spiffe_id: id ?? '' };
      const { svids } = await channel.call(workloadService(), 'FetchJWTSVID', request, call(callOptions));
      return svids.map(({ spiffe_id, svid, hint }) => ({ id: parseSpiffeId(spiffe_id), token: svid, hint }));
    },
    async validateJwtSvid(token, audience, callOptions) {
      const response = await channel.call(
        workloadService(),
        'ValidateJWTSVID',
        { svid: token, audience },
        call(callOptions),
      );
      return { id: parseSpiffeId(response.spiffe_id) };
    },
    close: () => channel.close(),
  };
}

interface WatchDependencies {
  readonly clock: Clock;
  readonly random: () => number;
  readonly onInterruption: ((error: FinialError) => void) | undefined;
}

async function* watch(
  channel: RpcChannel,
  { clock, random, onInterruption }: WatchDependencies,
  signal: AbortSignal,
): AsyncGenerator<X509Context> {
  let failures = 0;
  while (!signal.aborted) {
    try {
      for await (const response of channel.serverStream(workloadService(), 'FetchX509SVID', {}, { signal, metadata })) {
        failures = 0;
        yield toContext(response);
      }
      throw new FinialError('unavailable', 'the agent ended the stream');
    } catch (thrown) {
      if (signal.aborted) return;
      const error = toFinialError(thrown);
      if (hasCode(error, 'invalid-argument') || hasCode(error, 'unimplemented')) throw error;
      onInterruption?.(error);
    }
    try {
      await clock.sleep(backoffDelay(RETRY, failures, random), signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    failures += 1;
  }
}

/** @throws FinialError `unavailable` for an answer that breaks the standard; the state before it stays in force */
function toContext(response: X509SVIDResponse__Output): X509Context {
  const bundles = new Map<TrustDomain, readonly Buffer[]>();
  for (const [name, ders] of Object.entries(response.federated_bundles))
    bundles.set(parseTrustDomain(name), split(ders));
  const svids = response.svids.map((one): X509Svid => {
    const chain = parseCertificates(one.x509_svid);
    const [leaf] = chain;
    if (leaf === undefined) throw new FinialError('unavailable', 'the agent sent an identity without a certificate');
    const id = parseSpiffeId(one.spiffe_id);
    // SPIFFE-ID 3.2: only what is signed says who somebody is.
    if (spiffeIdOf(leaf) !== id)
      throw new FinialError('unavailable', 'the agent sent a certificate of another identity');
    bundles.set(trustDomainOf(id), split(one.bundle));
    const privateKey = createPrivateKey({ key: one.x509_svid_key, format: 'der', type: 'pkcs8' });
    const { notBefore, notAfter } = leaf;
    return { id, chain: chain.map(({ der }) => der), privateKey, notBefore, notAfter, hint: one.hint };
  });
  const [first, ...rest] = svids;
  if (first === undefined) throw new FinialError('unavailable', 'the agent sent no identity');
  const all: [X509Svid, ...X509Svid[]] = [first, ...rest];
  return Object.freeze({ svids: all, bundles });
}

function split(ders: Buffer): readonly Buffer[] {
  return parseCertificates(ders).map(({ der }) => der);
}
