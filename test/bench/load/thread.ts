import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

/** Times of the calling thread, in milliseconds. */
export interface ThreadTimes {
  readonly wall: number;
  /** On a processor. */
  readonly ran: number;
  /** Runnable, but waiting for one. */
  readonly waited: number;
}

/** The calling thread's times so far, by the kernel's scheduler (Documentation/scheduler/sched-stats.rst). */
export function threadTimes(): ThreadTimes {
  const [ran = 0, waited = 0] = readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ').map(Number);
  return { wall: performance.now(), ran: ran / 1e6, waited: waited / 1e6 };
}

/** Shares of the time since then. */
export function sharesSince(before: ThreadTimes): { readonly busy: number; readonly starved: number } {
  const now = threadTimes();
  const wall = Math.max(1, now.wall - before.wall);
  return { busy: (now.ran - before.ran) / wall, starved: (now.waited - before.waited) / wall };
}
