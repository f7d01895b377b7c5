import { describe, expect, it } from 'vitest';
import { ManualClock, systemClock, unixSeconds } from './clock.ts';

describe('systemClock', () => {
  it('sleeps, also for no time at all', async () => {
    const before = systemClock.steady();
    await systemClock.sleep(0);
    await systemClock.sleep(-5);
    await systemClock.sleep(5);
    expect(systemClock.steady()).toBeGreaterThan(before);
  });

  it('is woken by its signal with the reason, before or during the sleep', async () => {
    const reason = new Error('enough');
    await expect(systemClock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason);
    const stop = new AbortController();
    const sleeping = systemClock.sleep(60_000, stop.signal);
    stop.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
  });

  it('sleeps longer than a timer can', async () => {
    const stop = new AbortController();
    let woke = false;
    const sleeping = systemClock.sleep(2 ** 33, stop.signal).then(
      () => (woke = true),
      () => undefined,
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(woke).toBe(false);
    stop.abort();
    await sleeping;
  });
});

describe('ManualClock', () => {
  it('wakes sleepers in the order of their times, each at its own', async () => {
    const clock = new ManualClock(0);
    const woke: [string, number][] = [];
    const sleeper = (name: string, ms: number): Promise<void> =>
      clock.sleep(ms).then(() => void woke.push([name, clock.now()]));
    const all = [sleeper('late', 20), sleeper('early', 10), sleeper('never', 31)];
    await clock.advance(30);
    expect(woke).toEqual([
      ['early', 10],
      ['late', 20],
    ]);
    expect(clock.sleeping).toBe(1);
    await clock.advance(1);
    await Promise.all(all);
  });

  it('lets a loop run as often as it would', async () => {
    const clock = new ManualClock(0);
    const stop = new AbortController();
    let rounds = 0;
    const loop = (async () => {
      while (!stop.signal.aborted) {
        await clock.sleep(1000, stop.signal).catch(() => undefined);
        rounds += 1;
      }
    })();
    await clock.advance(10_000);
    expect(rounds).toBe(10);
    stop.abort();
    await loop;
    expect(clock.sleeping).toBe(0);
  });

  it('jumps without moving the steady clock', async () => {
    const clock = new ManualClock(0);
    clock.jump(5_000_000);
    expect([clock.now(), clock.steady(), unixSeconds(clock)]).toEqual([5_000_000, 0, 5000]);
  });
});
