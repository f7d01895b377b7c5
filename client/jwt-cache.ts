import type { Clock } from '../common/clock.ts';
import { type ErrorCode, toFinialError } from '../common/errors.ts';
import type { JwtSvid } from './jwt-svids.ts';

/** The tokens of one request: one per identity that was asked for. */
export type JwtSvids = readonly [JwtSvid, ...JwtSvid[]];

/** Keeps tokens for as long as they are good, and asks for each at most once at a time. */
export interface JwtCache {
  /**
   * The tokens of a request, from memory until half of their life is over. After that `load` is asked; while it fails
   * for a passing reason, tokens that are still valid are handed out.
   */
  get(key: string, load: () => Promise<JwtSvids>): Promise<JwtSvids>;
  clear(): void;
}

interface Slot {
  svids?: JwtSvids;
  /** Unix ms. */
  refreshAt: number;
  /** Unix ms; later the tokens are not handed out any more. */
  usableUntil: number;
  flight?: Promise<JwtSvids>;
}

/** More requests than this are not remembered: audiences may come from outside. The least recently used one goes. */
const MAX_SLOTS = 1000;
/** After a failed refresh tokens that are still valid serve for this long before the agent is asked again. */
const RETRY_MS = 1000;
/** Whoever has a token that is still valid does not wait longer than this for a newer one. */
const PATIENCE_MS = 500;
/** A token is not handed out in its last moments, as it would expire under way. */
const LAST_MS = 5000;

/** Failures that say nothing about whether this process may still have the token. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'unavailable',
  'deadline-exceeded',
  'cancelled',
  'unknown',
  'internal',
  'aborted',
  'resource-exhausted',
  'data-loss',
]);

/** @param clock its wall time is compared with that of the tokens */
export function jwtCache(clock: Pick<Clock, 'now' | 'sleep'>): JwtCache {
  const slots = new Map<string, Slot>();
  return {
    async get(key, load) {
      const slot = slotOf(slots, key);
      if (slot.svids !== undefined && clock.now() < Math.min(slot.refreshAt, slot.usableUntil)) return slot.svids;
      const flight = refresh(slot, load, clock);
      if (usable(slot, clock) !== undefined) await settledWithin(flight, PATIENCE_MS, clock);
      const svids = usable(slot, clock);
      if (svids !== undefined) return svids;
      flight.catch(() => forget(slots, key, slot));
      return flight;
    },
    clear: () => slots.clear(),
  };
}

function usable({ svids, usableUntil }: Slot, clock: Pick<Clock, 'now'>): JwtSvids | undefined {
  return clock.now() < usableUntil ? svids : undefined;
}

/** Starts to load, or joins those who wait already. What comes of it is kept in the slot, whoever still waits then. */
function refresh(slot: Slot, load: () => Promise<JwtSvids>, clock: Pick<Clock, 'now'>): Promise<JwtSvids> {
  if (slot.flight !== undefined) return slot.flight;
  const flight = load().then(
    (svids) => {
      delete slot.flight;
      Object.assign(slot, { svids, ...lifeOf(svids, clock.now()) });
      return svids;
    },
    (error: unknown) => {
      delete slot.flight;
      if (PASSING.has(toFinialError(error).code)) slot.refreshAt = clock.now() + RETRY_MS;
      else delete slot.svids;
      throw error;
    },
  );
  // Those who were content with the token they had do not wait for this any more.
  flight.catch(() => undefined);
  slot.flight = flight;
  return flight;
}

/** Waits until the promise is settled, one way or the other, but no longer than this. */
async function settledWithin(promise: Promise<unknown>, ms: number, clock: Pick<Clock, 'sleep'>): Promise<void> {
  const over = new AbortController();
  const settled = (): void => over.abort();
  promise.then(settled, settled);
  try {
    await clock.sleep(ms, over.signal);
  } catch (error) {
    if (!over.signal.aborted) throw error;
  }
}

function forget(slots: Map<string, Slot>, key: string, slot: Slot): void {
  if (slots.get(key) === slot && slot.svids === undefined) slots.delete(key);
}

/** The slot of a key, which thereby becomes the most recently used one. */
function slotOf(slots: Map<string, Slot>, key: string): Slot {
  const slot = slots.get(key) ?? { refreshAt: 0, usableUntil: 0 };
  slots.delete(key);
  slots.set(key, slot);
  if (slots.size > MAX_SLOTS) {
    const [oldest] = slots.keys();
    if (oldest !== undefined) slots.delete(oldest);
  }
  return slot;
}

/** Of the token that ends first. One whose half is over on arrival is still used for half of the rest, up to a second. */
function lifeOf(svids: JwtSvids, now: number): { readonly refreshAt: number; readonly usableUntil: number } {
  let refreshAt = Infinity;
  let usableUntil = Infinity;
  for (const { issuedAt, expiresAt } of svids) {
    const issued = Math.min(issuedAt ?? now, now);
    const life = expiresAt - issued;
    const half = Math.max(issued + life / 2, now + Math.min(RETRY_MS, (expiresAt - now) / 2));
    refreshAt = Math.min(refreshAt, half);
    usableUntil = Math.min(usableUntil, expiresAt - Math.min(LAST_MS, life / 10));
  }
  return { refreshAt, usableUntil };
}
