import { describe, expect, it } from 'vitest';
import { newLatencies, percentile } from '../histogram.ts';
import { paced } from './paced.ts';
import type { LoadPlan } from './plan.ts';
import { openTally } from './tally.ts';

const plan: LoadPlan = {
  ...{ peers: [], connections: 2, concurrency: 1, path: '/a.B/C', requests: [] },
  ...{ warmUpSeconds: 1, seconds: 2, sampleEvery: 3 },
};

describe('a tally', () => {
  it('counts what is answered in its window, and is over with it', () => {
    let now = 0;
    const tally = openTally(plan, () => now);
    for (now = 100; now <= 2900; now += 100) tally.done({ request: 0, began: now - 50, answer: Buffer.of(1) });
    expect(tally.ops).toBe(20);
    expect(percentile(tally.latencies, 0.5)).toBeCloseTo(50, -1);
    expect(tally.samples).toHaveLength(10);
    now = 3001;
    expect(tally.over()).toBe(true);
    tally.done({ request: 0, began: 2900, answer: Buffer.of(1) });
    expect([tally.ops, tally.end(3010)]).toEqual([20, 3000]);
  });

  it('goes on until long calls were answered three times each, but not for ever', () => {
    let now = 0;
    const tally = openTally(plan, () => now);
    for (now = 2500; now < 20_000 && !tally.over(); now += 2500) tally.done({ request: 0, began: now - 5000 });
    // Six answers, of which the last came at 15 seconds; the window opened at one.
    expect([tally.ops, tally.end(18_000)]).toEqual([6, 15_000]);

    now = 0;
    const stuck = openTally(plan, () => now);
    now = 33_001;
    expect(stuck.over()).toBe(true);
  });

  it('keeps failures apart by kind, and answers of a fixed rate in their window', () => {
    let now = 0;
    const tally = openTally({ ...plan, perSecond: 1 }, () => now);
    now = 3001;
    expect(tally.over()).toBe(true);
    for (let n = 0; n < 50; n += 1) tally.done({ request: 0, began: 0, failure: `7: ${n % 25}` });
    const counts = Object.values(tally.failures);
    expect([counts.length, counts.reduce((sum, one) => sum + one, 0)]).toEqual([21, 50]);
  });
});

describe('calls at a fixed rate', () => {
  it('begin whether or not earlier ones were answered, and all of them are waited for', async () => {
    const answers: (() => void)[] = [];
    const late = newLatencies();
    const calls = { perSecond: 1000, caller: 3, late, now: () => performance.now() };
    const callNext = () => new Promise<void>((resolve) => void answers.push(resolve));
    let ended = false;
    const all = paced({ ...calls, goesOn: () => answers.length < 40, callNext }).then(() => (ended = true));
    await expect.poll(() => answers.length, { timeout: 10_000 }).toBe(40);
    for (const answer of answers.slice(1)) answer();
    await new Promise((resolve) => setImmediate(resolve));
    expect(ended).toBe(false);
    answers[0]?.();
    await all;
    expect(late.counts.reduce((sum, one) => sum + one, 0)).toBe(40);
  });
});
