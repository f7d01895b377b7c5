/** Where time comes from. Everything that asks for the time or waits takes a Clock, so that tests drive years. */
export interface Clock {
  /** Milliseconds since the Unix epoch. May jump when the machine's clock is set. */
  now(): number;
  /** Milliseconds of a steady clock with an arbitrary start, for measuring durations. */
  steady(): number;
  /**
   * Resolves after `ms`; rejects with the signal's reason as soon as `signal` aborts, leaving no timer behind.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Whole Unix seconds, as stored in SVIDs, entries and nodes. */
export function unixSeconds(clock: Pick<Clock, 'now'>): number {
  return Math.floor(clock.now() / 1000);
}

/** setTimeout cannot wait longer; a longer sleep is slept in parts. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  steady: () => performance.now(),
  async sleep(ms, signal) {
    let left = Math.max(0, ms);
    do {
      const part = Math.min(left, LONGEST_TIMER_MS);
      await timer(part, signal);
      left -= part;
    } while (left > 0);
  },
};

function timer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(abortReason(signal));
      return;
    }
    const abort = (): void => {
      clearTimeout(handle);
      reject(abortReason(signal));
    };
    const handle = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', abort, { once: true });
  });
}

function abortReason(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}

interface Sleeper {
  readonly at: number;
  wake(): void;
}

/** A clock that only moves when told to; sleepers wake in the order of their times. For tests. */
export class ManualClock implements Clock {
  #now: number;
  #steady = 0;
  #sleepers: Sleeper[] = [];

  /** @param start milliseconds since the epoch */
  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  steady(): number {
    return this.#steady;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(abortReason(signal));
        return;
      }
      const abort = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(abortReason(signal));
      };
      const sleeper: Sleeper = {
        at: this.#steady + Math.max(0, ms),
        wake: () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        },
      };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /** How many waits are open; tests use it to know that a loop has come to rest. */
  get sleeping(): number {
    return this.#sleepers.length;
  }

  /** Moves both clocks by `ms`, waking every sleeper on the way and letting it run before the next. */
  async advance(ms: number): Promise<void> {
    const end = this.#steady + ms;
    await settle();
    for (;;) {
      const next = this.#sleepers.filter((one) => one.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#sleepers = this.#sleepers.filter((one) => one !== next);
      this.#now += next.at - this.#steady;
      this.#steady = next.at;
      next.wake();
      await settle();
    }
    this.#now += end - this.#steady;
    this.#steady = end;
    await settle();
  }

  /** Sets the wall clock without moving the steady one, as an operator or NTP would. */
  jump(now: number): void {
    this.#now = now;
  }
}

/** Lets pending promise callbacks and immediates run. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve));
}
