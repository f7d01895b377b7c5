import type { Clock } from './clock.ts';

/**
 * Keeps one turn of the event loop from becoming long where much work that never waits comes in at once: whoever calls
 * the result before such a piece of work is let through at once, or, when the turn has lasted for `ms`, in a later turn.
 * Timers, sockets and other callers get their turn in between.
 *
 * @param steady for measuring turns
 * @returns undefined when the work may begin now; that costs no turn of the microtask queue
 */
export function shortTurns({ steady }: Pick<Clock, 'steady'>, ms: number): () => Promise<void> | undefined {
  let began: number | undefined;
  const mayBegin = (): boolean => {
    const now = steady();
    if (began === undefined) {
      began = now;
      setImmediate(() => {
        began = undefined;
      });
    }
    return now - began < ms;
  };
  const later = async (): Promise<void> => {
    do await new Promise((resolve) => setImmediate(resolve));
    while (!mayBegin());
  };
  return () => (mayBegin() ? undefined : later());
}
