import type { Clock } from '../../common/clock.ts';
import { linkSignals } from '../../common/linked-signal.ts';
import type { CacheFeed } from '../cache/contract.ts';

/** What ends a wait early: a workload asks for something that is not signed yet, or the server says that things changed. */
export type Wake = 'demand' | 'hint';

/** Waits that end early. */
export interface Wakes {
  /** What ended the wait; undefined when nothing did. A demand comes before a hint, which is then kept. */
  wait(clock: Clock, ms: number, signal: AbortSignal): Promise<Wake | undefined>;
  readonly hint: () => void;
  stop(): void;
}

export function wakesOf(feed: Pick<CacheFeed, 'onDemand'>): Wakes {
  const pending = new Set<Wake>();
  let wake: (() => void) | undefined;
  const note = (kind: Wake): void => {
    pending.add(kind);
    wake?.();
  };
  const take = (kind: Wake): Wake | undefined => (pending.delete(kind) ? kind : undefined);
  const stop = feed.onDemand(() => note('demand'));
  return {
    stop,
    hint: () => note('hint'),
    async wait(clock, ms, signal) {
      if (pending.size === 0) {
        const over = linkSignals(signal);
        const sleep = clock.sleep(ms, over.signal);
        await Promise.race([
          // The wait was broken off: by the signal, which the caller asks about, or by one of the wakes.
          sleep.catch(() => undefined),
          new Promise<void>((resolve) => {
            wake = resolve;
          }),
        ]);
        over.abort();
        wake = undefined;
      }
      return take('demand') ?? take('hint');
    },
  };
}
