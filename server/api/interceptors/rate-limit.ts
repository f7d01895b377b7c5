import type { Clock } from '../../../common/clock.ts';
import { FinialError } from '../../../common/errors.ts';
import type { Interceptor } from '../../../common/rpc/call.ts';
import { stateOf } from '../call-state.ts';
import { type LimitName, limits } from '../policy.ts';
import { Buckets } from './token-bucket.ts';

/** Which limits hold, and by which clock. */
export interface RateLimitDeps {
  readonly clock: Clock;
  /** Switches of the configuration. */
  readonly enabled: { readonly attestation: boolean; readonly signing: boolean };
}

/**
 * Whoever would have to wait longer is refused: connections do not live much longer than this (server/endpoints.ts), so
 * the wait would be for nothing, and what waits takes memory.
 */
const LONGEST_WAIT_MS = 5 * 60_000;

/**
 * Gives the handler the limit of its method. Handlers take the tokens themselves, since only they know what a request
 * costs. Whoever is too fast waits; refused are requests that could never pass, or not within five minutes. Local callers have no limit.
 */
export function limitRate({ clock, enabled }: RateLimitDeps): Interceptor {
  const buckets = new Map<LimitName, Buckets>();
  for (const [name, limit] of Object.entries(limits) as [LimitName, (typeof limits)[LimitName]][]) {
    const on = limit.switch === undefined || enabled[limit.switch];
    if (on) buckets.set(name, new Buckets(limit.perSecond, clock.steady()));
  }
  return async (call) => {
    const state = stateOf(call);
    const { caller, policy } = state;
    const shared = policy.limit === undefined ? undefined : buckets.get(policy.limit);
    if (shared === undefined || caller.kind === 'local') return undefined;
    state.limit = async (count) => {
      const bucket = shared.of(caller.address, clock.steady());
      if (count > bucket.burst) {
        throw new FinialError('resource-exhausted', `rate (${count}) exceeds burst size (${bucket.burst})`);
      }
      const wait = bucket.take(count, clock.steady());
      if (wait === 0) return;
      if (wait > LONGEST_WAIT_MS) {
        bucket.giveBack(count, clock.steady());
        throw new FinialError('resource-exhausted', 'too many requests are waiting');
      }
      try {
        await clock.sleep(wait, call.signal);
      } catch (error) {
        bucket.giveBack(count, clock.steady());
        throw error;
      }
    };
    return undefined;
  };
}
