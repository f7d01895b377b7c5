import { backoffDelay, type BackoffPolicy } from '../common/backoff.ts';
import { type Clock, systemClock } from '../common/clock.ts';
import { FinialError, hasCode } from '../common/errors.ts';
import type { SpiffeId } from '../spiffe/id.ts';
import { type VerifiedJwtSvid, verifyJwtSvid } from '../spiffe/jwt/verify.ts';
import { holdSource, type SourceOptions } from './held-source.ts';
import { jwtCache, type JwtSvids } from './jwt-cache.ts';
import type { JwtSvid, ValidatedJwtSvid } from './jwt-svids.ts';
import type { JwtBundleProvider, Source } from './source.ts';
import { type CallOptions, type JwtSvidRequest, type WorkloadApi, workloadApi } from './workload-api.ts';

/** Which token is wanted. */
export interface JwtSourceRequest extends CallOptions {
  /** Who the token is for; best a single name. */
  readonly audience: string | readonly string[];
  /** Which identity of this process; the default one when absent. */
  readonly id?: SpiffeId;
  /** The identity by the name that the operator gave it. */
  readonly hint?: string;
}

/** Tokens of this process and the keys that verify those of others, kept current. */
export interface JwtSource extends Source, JwtBundleProvider {
  /**
   * A token for an audience. Comes from memory until half of its life is over; simultaneous requests for one token make
   * one call; while the agent is away, a token that is still valid is good enough.
   *
   * @throws FinialError `permission-denied` when this process may not have it, `not-found` when no identity has the hint
   */
  fetch(request: JwtSourceRequest): Promise<JwtSvid>;
  /** Lets the agent judge a token meant for `audience`: the way that the standard prefers. @throws FinialError */
  validate(token: string, audience: string, options?: CallOptions): Promise<ValidatedJwtSvid>;
  /**
   * Judges a token here, by the keys of its own trust domain: no call per token.
   *
   * @param audience the names of this process; the token must be for one of them
   * @throws SpiffeError `invalid-jwt-svid` or `untrusted-jwt-svid`; FinialError when the keys were revoked
   */
  validateLocally(token: string, audience: string | readonly string[]): Promise<VerifiedJwtSvid>;
}

/** Waits between attempts of one fetch while the agent cannot be reached. */
const RETRY: BackoffPolicy = { initial: 100, factor: 2, max: 1000, jitter: 0.2 };
const DEFAULT_TIMEOUT_MS = 5000;

/**
 * Follows the JWT bundles and fetches tokens on demand.
 *
 * @returns once the first bundles have come
 * @throws FinialError as createX509Source
 */
export async function createJwtSource(options: SourceOptions = {}): Promise<JwtSource> {
  const { clock = systemClock, random = Math.random } = options;
  const api = options.api ?? workloadApi(options);
  const closeApi = (): void => {
    if (options.api === undefined) api.close();
  };
  const cache = jwtCache(clock);
  const held = await holdSource('JWT bundle', (one) => one.jwtBundles, { ...options, api }).catch((error: unknown) => {
    closeApi();
    throw error;
  });
  // Whoever lost the right to everything keeps no token either; what the agent still grants is fetched again.
  held.onError((error) => {
    if (hasCode(error, 'permission-denied') && options.onPermissionDenied !== 'keep') cache.clear();
  });
  const closed = new AbortController();
  const close = (): void => {
    closed.abort();
    cache.clear();
    held.close();
    closeApi();
  };
  const load = (request: JwtSvidRequest, timeoutMs: number): Promise<JwtSvids> =>
    fetchPatiently(api, request, timeoutMs, { clock, random, signal: closed.signal });
  return {
    get jwtBundles() {
      return held.current;
    },
    async fetch({ audience, id, hint, signal, timeoutMs = DEFAULT_TIMEOUT_MS }) {
      if (closed.signal.aborted) throw new FinialError('unavailable', 'the source is closed');
      const wanted = { audience: typeof audience === 'string' ? [audience] : [...new Set(audience)].sort(), id };
      const tokens = cache.get(JSON.stringify([id ?? '', ...wanted.audience]), () => load(wanted, timeoutMs));
      return pickToken(await abandonable(tokens, signal), hint);
    },
    validate: (token, audience, callOptions) => api.validateJwtSvid(token, audience, callOptions),
    validateLocally(token, audience) {
      const bundles = held.current;
      return verifyJwtSvid(token, {
        audience: typeof audience === 'string' ? [audience] : audience,
        authorities: (trustDomain) => bundles.get(trustDomain),
        now: clock.now(),
      });
    },
    onUpdate: (listener) => held.onUpdate(listener),
    onError: (listener) => held.onError(listener),
    close,
    [Symbol.dispose]: close,
  };
}

function pickToken(svids: JwtSvids, hint: string | undefined): JwtSvid {
  if (hint === undefined) return svids[0];
  const named = svids.find((svid) => svid.hint === hint);
  if (named === undefined) throw new FinialError('not-found', `no identity of this process has the hint "${hint}"`);
  return named;
}

/** Bridges a restart of the agent: only an agent that cannot be reached is asked again, until the time is over. */
async function fetchPatiently(
  api: WorkloadApi,
  request: JwtSvidRequest,
  timeoutMs: number,
  { clock, random, signal }: { readonly clock: Clock; readonly random: () => number; readonly signal: AbortSignal },
): Promise<JwtSvids> {
  const deadline = clock.steady() + timeoutMs;
  for (let failures = 0; ; failures += 1) {
    try {
      return await api.fetchJwtSvids(request, { timeoutMs: deadline - clock.steady(), signal });
    } catch (error) {
      const wait = backoffDelay(RETRY, failures, random);
      if (!hasCode(error, 'unavailable') || signal.aborted || clock.steady() + wait >= deadline) throw error;
      await clock.sleep(wait, signal);
    }
  }
}

/** The caller's signal ends its own waiting; others wait for the same token. */
async function abandonable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  let abort = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(new FinialError('cancelled', 'cancelled', { cause: signal.reason }));
  });
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
