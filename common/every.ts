import type { Clock } from './clock.ts';

/**
 * Runs `step` again and again, waiting `ms` before each run, until `signal` aborts; then returns. A step that throws ends
 * the loop with its error: a step that should be tried again next time catches its own.
 */
export async function every(ms: number, clock: Clock, signal: AbortSignal, step: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    try {
      await clock.sleep(ms, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    await step();
  }
}
