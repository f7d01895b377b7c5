import { backoffDelay, exponential } from '../../common/backoff.ts';
import type { Clock } from '../../common/clock.ts';
import { type ErrorCode, FinialError, messageOf, toFinialError } from '../../common/errors.ts';
import type { Closable } from '../../common/lifecycle.ts';
import type { Logger } from '../../common/log/logger.ts';
import { orAbort } from '../../common/rpc/stream.ts';
import type { SpiffeId } from '../../spiffe/id.ts';
import { readUnverifiedJwtSvid } from '../../spiffe/jwt/verify.ts';
import { isBeforeItsTime, isJwtSvidFresh } from '../../spiffe/rotation.ts';
import type { AgentEntry, ServerClient, SignedJwtSvid } from '../server-client/contract.ts';
import type { CachedJwtSvid, JwtSvidCache } from './contract.ts';

export interface JwtSvidCacheOptions {
  readonly client: Pick<ServerClient, 'signJwtSvid'>;
  /** How many tokens to hold; the longest unused one goes first. 1000 unless told. */
  readonly maxTokens?: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** How long to try to renew a token while the held one is still valid, ms; 30 s unless told. */
  readonly cacheHitTimeoutMs?: number;
}

/** The cache as the agent drives it. */
export interface DrivenJwtSvidCache extends JwtSvidCache, Closable {
  /** Drops the tokens that a key signed which must not be relied on any more, and holds none of its tokens again. */
  removeSignedBy(keyId: string): void;
  /** How many tokens are held. */
  readonly size: number;
  /** Gives up what the server is being asked for; a process that ends must not wait for it. */
  close(): void;
}

interface HeldToken {
  readonly svid: CachedJwtSvid;
  readonly keyId: string | undefined;
  /** Unix milliseconds. */
  readonly receivedAt: number;
}

const DEFAULT_MAX_TOKENS = 1000;
const FETCH_TIMEOUT_MS = 30_000;
const RETRY = exponential(1000, FETCH_TIMEOUT_MS);
/** Trying again would get the same answer, or nobody is waiting for it any more. */
const FINAL: ReadonlySet<ErrorCode> = new Set([
  'unknown',
  'cancelled',
  'deadline-exceeded',
  'invalid-argument',
  'unimplemented',
]);

/** JWT-SVIDs by SPIFFE ID and set of audiences (agent.md 3.3). */
export function createJwtSvidCache(options: JwtSvidCacheOptions): DrivenJwtSvidCache {
  const { clock, log, random, maxTokens = DEFAULT_MAX_TOKENS, cacheHitTimeoutMs = FETCH_TIMEOUT_MS } = options;
  const tokens = new RecentlyUsed<HeldToken>(maxTokens);
  const flights = new Map<string, Promise<CachedJwtSvid>>();
  const distrusted = new Set<string>();
  const closed = new AbortController();

  const unexpired = (key: string): CachedJwtSvid | undefined => {
    const svid = tokens.get(key)?.svid;
    return svid !== undefined && svid.expiresAt * 1000 > clock.now() ? svid : undefined;
  };

  const fetchToken = async (key: string, entry: AgentEntry, audience: readonly string[]): Promise<CachedJwtSvid> => {
    const isRenewal = tokens.get(key) !== undefined;
    const timeoutMs = unexpired(key) === undefined ? FETCH_TIMEOUT_MS : cacheHitTimeoutMs;
    try {
      const signed = await signWithRetries(options, entry, audience, timeoutMs, closed.signal);
      const svid = checked(signed, entry.spiffeId);
      const { keyId } = readUnverifiedJwtSvid(svid.token);
      if (keyId === undefined || !distrusted.has(keyId)) tokens.set(key, { svid, keyId, receivedAt: clock.now() });
      return svid;
    } catch (error) {
      // Looked up anew: the token may have been dropped meanwhile.
      const held = unexpired(key);
      if (held !== undefined) {
        log.warn('Unable to renew JWT; returning cached copy', { spiffe_id: entry.spiffeId, error });
        return held;
      }
      if (!isRenewal) throw error;
      const text = `unable to renew JWT for "${entry.spiffeId}" (err=${messageOf(error)})`;
      throw new FinialError(toFinialError(error).code, text, { cause: error });
    }
  };

  const share = (key: string, entry: AgentEntry, audience: readonly string[]): Promise<CachedJwtSvid> => {
    const known = flights.get(key);
    if (known !== undefined) return known;
    const flight = fetchToken(key, entry, audience).finally(() => flights.delete(key));
    // Every caller may have gone by the time it fails.
    flight.catch(() => undefined);
    flights.set(key, flight);
    return flight;
  };

  return {
    async get(entry, audience, signal) {
      const distinct = [...new Set(audience)];
      const key = keyOf(entry.spiffeId, distinct);
      const held = tokens.get(key);
      if (held !== undefined && isFresh(held, clock.now(), random)) return held.svid;
      return orAbort(share(key, entry, distinct), signal);
    },
    removeSignedBy(keyId) {
      distrusted.add(keyId);
      tokens.removeWhere((token) => token.keyId === keyId);
    },
    get size() {
      return tokens.size;
    },
    close: () => closed.abort(new FinialError('unavailable', 'the agent is shutting down')),
  };
}

/** Asks until the server answers, its refusal is final, the time is over or `closed` aborts. @throws the last failure */
async function signWithRetries(
  { client, clock, random }: JwtSvidCacheOptions,
  entry: AgentEntry,
  audience: readonly string[],
  timeoutMs: number,
  closed: AbortSignal,
): Promise<SignedJwtSvid> {
  const over = new AbortController();
  const close = (): void => over.abort(closed.reason);
  if (closed.aborted) close();
  closed.addEventListener('abort', close, { once: true });
  const finished = new AbortController();
  clock.sleep(timeoutMs, finished.signal).then(
    () => over.abort(new FinialError('deadline-exceeded', 'the server did not sign a JWT-SVID in time')),
    // The timer was no longer needed.
    () => undefined,
  );
  let last: unknown;
  try {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await orAbort(client.signJwtSvid(entry.id, audience, over.signal), over.signal);
      } catch (error) {
        if (over.signal.aborted) throw last ?? over.signal.reason;
        if (FINAL.has(toFinialError(error).code)) throw error;
        last = error;
      }
      try {
        await clock.sleep(backoffDelay(RETRY, attempt, random), over.signal);
      } catch {
        // The time is over, and what went wrong before says more than that.
        throw last;
      }
    }
  } finally {
    closed.removeEventListener('abort', close);
    finished.abort();
  }
}

/** A token is handed out only under the name that it was asked for. */
function checked({ id, token, issuedAt, expiresAt }: SignedJwtSvid, wanted: SpiffeId): CachedJwtSvid {
  if (id !== wanted) throw new FinialError('internal', 'the server signed a JWT-SVID for another identity');
  if (token === '' || issuedAt === 0 || expiresAt === 0 || issuedAt > expiresAt) {
    throw new FinialError('internal', 'the server sent a malformed JWT-SVID');
  }
  return Object.freeze({ token, issuedAt, expiresAt });
}

function isFresh({ svid, receivedAt }: HeldToken, now: number, random: () => number): boolean {
  const validity = { notBefore: svid.issuedAt * 1000, notAfter: svid.expiresAt * 1000 };
  return isJwtSvidFresh(validity, now, random) && !isBeforeItsTime({ ...validity, receivedAt }, now);
}

/** JSON keeps the parts apart, whatever an audience holds. */
function keyOf(id: SpiffeId, audience: readonly string[]): string {
  return JSON.stringify([id, ...[...audience].sort()]);
}

/** Holds so many values; the longest unused one makes room. */
class RecentlyUsed<V> {
  readonly #max: number;
  /** A Map keeps the order of insertion, which here is the order of use. */
  readonly #values = new Map<string, V>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#values.size;
  }

  get(key: string): V | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    this.#values.delete(key);
    this.#values.set(key, value);
    return value;
  }

  set(key: string, value: V): void {
    this.#values.delete(key);
    this.#values.set(key, value);
    for (const oldest of this.#values.keys()) {
      if (this.#values.size <= this.#max) break;
      this.#values.delete(oldest);
    }
  }

  removeWhere(isRemoved: (value: V) => boolean): void {
    for (const [key, value] of this.#values) if (isRemoved(value)) this.#values.delete(key);
  }
}
