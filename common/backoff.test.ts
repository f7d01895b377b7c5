import { assert, double, nat, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffDelay, exponential } from './backoff.ts';

describe('backoffDelay', () => {
  it('grows by half and stops at the maximum', () => {
    const policy = exponential(1000, 4000);
    expect([0, 1, 2, 3, 4, 100].map((attempt) => backoffDelay(policy, attempt, () => 0.5))).toEqual([
      1000, 1500, 2250, 3375, 4000, 4000,
    ]);
  });

  it('stays within its jitter of the nominal wait', () => {
    assert(
      property(nat(200), double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempt, random) => {
        const policy = exponential(100, 5000);
        const nominal = backoffDelay(policy, attempt, () => 0.5);
        const delay = backoffDelay(policy, attempt, () => random);
        expect(delay).toBeGreaterThanOrEqual(nominal * 0.9 - 1e-9);
        expect(delay).toBeLessThanOrEqual(nominal * 1.1 + 1e-9);
      }),
    );
  });
});
