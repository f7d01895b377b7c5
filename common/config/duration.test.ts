import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, parseDuration } from './duration.ts';

describe('parseDuration', () => {
  it.each([
    ['0', 0],
    ['-0', 0],
    ['300ms', 300],
    ['1.5h', 5_400_000],
    ['2h45m', 9_900_000],
    ['-1m', -60_000],
    ['+5s', 5000],
    ['.5s', 500],
    ['1.s', 1000],
    ['1us', 0.001],
    ['1µs1μs', 0.002],
    ['100ns', 0.0001],
    ['1h1h', 7_200_000],
  ])('reads %s', (text, ms) => {
    expect(parseDuration(text)).toBeCloseTo(ms, 9);
  });

  it.each([
    ['', 'time: invalid duration ""'],
    ['5', 'time: missing unit in duration "5"'],
    ['1d', 'time: unknown unit "d" in duration "1d"'],
    ['h', 'time: invalid duration "h"'],
    ['-', 'time: invalid duration "-"'],
    ['1h 2m', 'time: unknown unit "h " in duration "1h 2m"'],
    ['.s', 'time: invalid duration ".s"'],
    ['1toString', 'time: unknown unit "toString" in duration "1toString"'],
    ['99999999h', 'time: invalid duration "99999999h"'],
  ])('refuses %j', (text, message) => {
    expect(() => parseDuration(text)).toThrow(new RangeError(message));
  });
});

describe('formatDuration', () => {
  it.each([
    [0, '0s'],
    [3_600_000, '1h0m0s'],
    [90_000, '1m30s'],
    [1500, '1.5s'],
    [250, '250ms'],
    [5.234, '5.234ms'],
    [0.0015, '1.5µs'],
    [0.0000019, '2ns'],
    [-61_000, '-1m1s'],
    [720 * 3_600_000, '720h0m0s'],
    [1e-9, '0s'],
  ])('prints %d ms', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it('prints what it reads', () => {
    const ms = fc.integer({ min: -(2 ** 40), max: 2 ** 40 });
    fc.assert(fc.property(ms, (value) => parseDuration(formatDuration(value)) === value));
  });
});
