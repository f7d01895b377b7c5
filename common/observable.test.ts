import { describe, expect, it } from 'vitest';
import { subject } from './observable.ts';

describe('subject', () => {
  it('tells subscribers of each change until they leave, also from within a change', () => {
    const one = subject(0);
    const seen: number[] = [];
    const leave = one.subscribe((value) => {
      seen.push(value);
      if (value === 2) leave();
    });
    for (const value of [1, 2, 3]) one.publish(value);
    expect(seen).toEqual([1, 2]);
    expect(one.current).toBe(3);
  });

  it('treats two subscriptions of one function as two', () => {
    const one = subject(0);
    let calls = 0;
    const listener = (): void => void (calls += 1);
    const leave = one.subscribe(listener);
    one.subscribe(listener);
    one.publish(1);
    leave();
    one.publish(2);
    expect(calls).toBe(3);
  });

  it('gives a slow reader the current value and then the newest, and ends with its signal', async () => {
    const one = subject('a');
    const stop = new AbortController();
    const seen: string[] = [];
    const reading = (async () => {
      for await (const value of one.values(stop.signal)) {
        seen.push(value);
        if (value === 'a') for (const next of ['b', 'c', 'd']) one.publish(next);
        else stop.abort();
      }
    })();
    await reading;
    expect(seen).toEqual(['a', 'd']);
  });

  it('wakes a waiting reader for a change and for its end', async () => {
    const one = subject(1);
    const stop = new AbortController();
    const seen: number[] = [];
    const reading = (async () => {
      for await (const value of one.values(stop.signal)) seen.push(value);
    })();
    await new Promise((resolve) => setImmediate(resolve));
    one.publish(2);
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual([1, 2]);
    stop.abort();
    await reading;
  });
});
