import type { Clock } from '../../common/clock.ts';
import type { CacheFeed } from '../cache/contract.ts';

/** Waits that end early when a workload asks for something that is not signed yet. */
export function demandOf(feed: Pick<CacheFeed, 'onDemand'>): {
  /** @returns whether a workload ended the wait */
  wait(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean>;
  stop(): void;
} {
  let pending = false;
  let wake: (() => void) | undefined;
  const stop = feed.onDemand(() => {
    pending = true;
    wake?.();
  });
  return {
    stop,
    async wait(clock, ms, signal) {
      const over = new AbortController();
      if (!pending) {
        const sleep = clock.sleep(ms, AbortSignal.any([signal, over.signal]));
        await Promise.race([
          // The wait was broken off: by the signal, which the caller asks about, or by the demand below.
          sleep.catch(() => undefined),
          new Promise<void>((resolve) => {
            wake = resolve;
          }),
        ]);
        over.abort();
        wake = undefined;
      }
      const demanded = pending;
      pending = false;
      return demanded;
    },
  };
}
