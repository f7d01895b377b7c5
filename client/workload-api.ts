import { setMaxListeners } from 'node:events';
import type { BackoffPolicy } from '../common/backoff.ts';
import { type Clock, systemClock } from '../common/clock.ts';
import { FinialError } from '../common/errors.ts';
import { withSignals } from '../common/linked-signal.ts';
import { parseSpiffeId, type SpiffeId } from '../spiffe/id.ts';
import { workloadChannel } from './channel.ts';
import { workloadEndpoint } from './endpoint.ts';
import { DEFAULT_BACKOFF } from './follow.ts';
import { type JwtSvid, readJwtBundles, readJwtSvids, readValidation, type ValidatedJwtSvid } from './jwt-svids.ts';
import type { JwtBundles } from './source.ts';
import { type Opened, type WorkloadStream, workloadStream } from './stream.ts';
import { readWitBundles, readWitSvids, type HeldWitSvid, type WitBundles } from './wit-svids.ts';
import { readX509BundleSet, readX509Context, type X509BundleSet, type X509Context } from './x509-context.ts';

/** Where the Workload API is, and how it is spoken to. */
export interface WorkloadApiOptions {
  /** `unix:///path` or `tcp://IP:port`; taken from SPIFFE_ENDPOINT_SOCKET when absent. */
  readonly address?: string;
  /** How waits between attempts to open a stream grow; from 0.2 s to 30 s unless said otherwise. */
  readonly backoff?: BackoffPolicy;
  /** Bounds one message of the agent; 16 MiB unless said otherwise. */
  readonly maxReceiveBytes?: number;
  /** WIT-SVIDs are an incubating standard, so their calls must be asked for. */
  readonly wit?: boolean;
  readonly clock?: Clock;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
}

/** What bounds a single call. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** 5 seconds unless said otherwise. */
  readonly timeoutMs?: number | undefined;
}

/** What a token is asked for. */
export interface JwtSvidRequest {
  /** Who the token is for. One value is best: whoever is named may use the token towards the others. */
  readonly audience: readonly string[];
  /** One identity of this process; all of them when absent. */
  readonly id?: SpiffeId | undefined;
}

/**
 * The Workload API of the agent on this node (SPIFFE Workload API 5 to 7): every stream and every call. Connects lazily.
 * Sources (`createX509Source` and its siblings) are built on it and are what most programs want.
 */
export interface WorkloadApi extends Disposable {
  /** The X.509 identities of this process, with the bundles that verify its peers. */
  readonly x509: WorkloadStream<X509Context>;
  /** The X.509 bundles alone, for programs without an identity. */
  readonly x509Bundles: WorkloadStream<X509BundleSet>;
  readonly jwtBundles: WorkloadStream<JwtBundles>;
  /** @throws FinialError `failed-precondition` unless opted in */
  readonly witSvids: WorkloadStream<readonly [HeldWitSvid, ...HeldWitSvid[]], { readonly id?: SpiffeId }>;
  /** @throws FinialError `failed-precondition` unless opted in */
  readonly witBundles: WorkloadStream<WitBundles>;
  /** One token per identity, or the one of `id`. The agent caches; a JwtSource does besides. @throws FinialError */
  fetchJwtSvids(request: JwtSvidRequest, options?: CallOptions): Promise<readonly [JwtSvid, ...JwtSvid[]]>;
  /** Lets the agent judge a token meant for `audience`. @throws FinialError `invalid-argument` when it is not valid */
  validateJwtSvid(token: string, audience: string, options?: CallOptions): Promise<ValidatedJwtSvid>;
  /** Ends every stream and call, and the connection. */
  close(): void;
}

const DEFAULT_TIMEOUT_MS = 5000;
const DEFAULT_RECEIVE_BYTES = 16 * 1024 * 1024;

/** Nothing happens before the first call. @throws FinialError `invalid-argument` when the address is not usable */
export function workloadApi(options: WorkloadApiOptions = {}): WorkloadApi {
  const { clock = systemClock, random = Math.random, backoff = DEFAULT_BACKOFF, wit = false } = options;
  const channel = workloadChannel(workloadEndpoint(options.address), options.maxReceiveBytes ?? DEFAULT_RECEIVE_BYTES);
  const closed = new AbortController();
  // As many callers as there are listen to it, each until it has its answer.
  setMaxListeners(0, closed.signal);
  const bounded = <T>(
    { signal: given, timeoutMs = DEFAULT_TIMEOUT_MS }: CallOptions = {},
    call: (options: CallOptions) => Promise<T>,
  ): Promise<T> => withSignals([given, closed.signal], (signal) => call({ signal, timeoutMs }));
  const stream = <M, T, R = object>(open: Opened<M, R>, read: (message: M) => T): WorkloadStream<T, R> =>
    workloadStream({ open, read, clock, random, backoff, closed: closed.signal, timeoutMs: DEFAULT_TIMEOUT_MS });
  const witSvids = stream(
    ({ id }: { readonly id?: SpiffeId }, call) => channel.serverStream('FetchWITSVID', { spiffe_id: id ?? '' }, call),
    readWitSvids,
  );
  const witBundles = stream((_request, call) => channel.serverStream('FetchWITBundles', {}, call), readWitBundles);
  const close = (): void => {
    closed.abort(new FinialError('unavailable', 'the Workload API client is closed'));
    channel.close();
  };
  return {
    x509: stream((_request, call) => channel.serverStream('FetchX509SVID', {}, call), readX509Context),
    x509Bundles: stream((_request, call) => channel.serverStream('FetchX509Bundles', {}, call), readX509BundleSet),
    jwtBundles: stream((_request, call) => channel.serverStream('FetchJWTBundles', {}, call), readJwtBundles),
    get witSvids() {
      return wit ? witSvids : notOptedIn();
    },
    get witBundles() {
      return wit ? witBundles : notOptedIn();
    },
    async fetchJwtSvids({ audience, id }, options) {
      const wanted = { audience: checkAudience(audience), id: id === undefined ? undefined : parseSpiffeId(id) };
      const request = { audience: wanted.audience, spiffe_id: wanted.id ?? '' };
      return readJwtSvids(await bounded(options, (call) => channel.call('FetchJWTSVID', request, call)), wanted);
    },
    async validateJwtSvid(token, audience, options) {
      const [expected] = checkAudience([audience]);
      const request = { svid: token, audience: expected };
      return readValidation(await bounded(options, (call) => channel.call('ValidateJWTSVID', request, call)));
    },
    close,
    [Symbol.dispose]: close,
  };
}

/** @throws FinialError `invalid-argument`: JWT-SVID 3.2, a token without audience would be good for anybody */
function checkAudience(audience: readonly string[]): readonly [string, ...string[]] {
  const [first, ...others] = audience;
  if (first === undefined || audience.includes('')) {
    throw new FinialError('invalid-argument', 'an audience must be given, and none may be empty');
  }
  return [first, ...others];
}

function notOptedIn(): never {
  throw new FinialError('failed-precondition', 'WIT-SVIDs are an incubating standard: opt in with { wit: true }');
}
