import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Clock, systemClock } from '../../common/clock.ts';

/**
 * A wall clock that a test sets while processes run: libfaketime shows it to all of a process, OpenSSL's own look at
 * certificates included. The steady clock goes on as it does: timers neither jump nor, as in a suspended machine, count
 * the time that was lost.
 */
export interface SettableClock {
  /** What a process that is to see the clock has in its environment. */
  readonly env: Readonly<Record<string, string>>;
  /** The same clock for code of the test itself. */
  readonly clock: Clock;
  /** Sets the clock to this much after the real time, milliseconds; negative for before. */
  set(offsetMs: number): void;
}

const LIBRARY = 'libfaketimeMT.so.1';

/** Where libfaketime is, for the architecture of this machine; undefined when it is not installed. */
export function findFaketime(): string | undefined {
  for (const triplet of ['x86_64-linux-gnu', 'aarch64-linux-gnu']) {
    const folder = path.join('/usr/lib', triplet, 'faketime');
    try {
      if (readdirSync(folder).includes(LIBRARY)) return path.join(folder, LIBRARY);
    } catch {
      // Another architecture, or not installed.
    }
  }
  return undefined;
}

/** @param folder gets the file that tells the time */
export function settableClock(library: string, folder: string): SettableClock {
  const file = path.join(folder, 'clock');
  let offset = 0;
  const set = (offsetMs: number): void => {
    offset = offsetMs;
    writeFileSync(file, `${offsetMs < 0 ? '-' : '+'}${Math.abs(offsetMs) / 1000}\n`);
  };
  set(0);
  return {
    set,
    clock: { ...systemClock, now: () => Date.now() + offset },
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      // Otherwise the file is read every ten seconds.
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
  };
}
