import { describe, expect, it } from 'vitest';
import { ManualClock } from './clock.ts';
import { every } from './every.ts';

describe('every', () => {
  it('waits first, then runs once per interval until it is told to stop', async () => {
    const clock = new ManualClock();
    const stop = new AbortController();
    const at: number[] = [];
    const done = every(1000, clock, stop.signal, async () => void at.push(clock.steady()));
    await clock.advance(999);
    expect(at).toEqual([]);
    await clock.advance(2001);
    expect(at).toEqual([1000, 2000, 3000]);
    stop.abort();
    await done;
    expect(clock.sleeping).toBe(0);
  });

  it('ends with the error of a step', async () => {
    const clock = new ManualClock();
    const done = every(1000, clock, new AbortController().signal, async () => Promise.reject(new Error('broken')));
    await Promise.all([expect(done).rejects.toThrow('broken'), clock.advance(1000)]);
  });
});
