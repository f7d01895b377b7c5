import { setTimeout as sleep } from 'node:timers/promises';
import { addLatency, type Latencies } from '../histogram.ts';

/** Multiples of it, taken modulo one, fill the interval from 0 to 1 evenly and in no order. */
const GOLDEN = 0.618_033_988_749;
/** Likewise, so that no two callers have the same sequence. */
const PLASTIC = 0.754_877_666_246;

/** One caller of many that calls at a rate of its own. */
export interface Pace {
  /** Calls of this caller in a second. */
  readonly perSecond: number;
  /** Its number; each has its own sequence of pauses, the same in every run. */
  readonly caller: number;
  /** Gets how long after its moment each call began, which timers of a millisecond cause. */
  readonly late: Latencies;
  readonly now: () => number;
  readonly goesOn: () => boolean;
  /** Makes a call; resolves when it has ended. */
  readonly callNext: () => Promise<unknown>;
}

/**
 * Calls with pauses as independent callers have them (exponentially distributed), and never waits for an answer before
 * the next call: when the server falls behind, its callers do not spare it. Resolves when the last call has ended.
 */
export async function paced({ perSecond, caller, late, now, goesOn, callNext }: Pace): Promise<void> {
  const open = new Set<Promise<unknown>>();
  let moment = now();
  for (let n = 1; ; n += 1) {
    const share = (n * GOLDEN + caller * PLASTIC) % 1;
    moment += (-Math.log(1 - share) / perSecond) * 1000;
    await sleep(Math.max(0, moment - now()));
    if (!goesOn()) break;
    // A timer may end a fraction of a millisecond early.
    addLatency(late, Math.max(0, now() - moment));
    const call = callNext();
    open.add(call);
    void call.finally(() => open.delete(call));
  }
  await Promise.all(open);
}
