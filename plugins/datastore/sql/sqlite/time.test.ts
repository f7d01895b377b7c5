import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sqliteValues } from './time.ts';

const at = Date.UTC(2026, 10, 23, 3, 16, 5);

describe('times in SQLite', () => {
  it.each([
    [at, '2026-11-23 03:16:05+00:00'],
    [at + 10, '2026-11-23 03:16:05.01+00:00'],
    [at + 996, '2026-11-23 03:16:05.996+00:00'],
    [0, '1970-01-01 00:00:00+00:00'],
  ])('writes %i as %s', (ms, text) => {
    expect(sqliteValues.time(ms)).toBe(text);
  });

  it.each([
    ['2026-11-23 03:16:05.996982779+00:00', at + 996],
    ['2026-11-23 05:16:05+02:00', at],
    ['2026-11-22 22:46:05.5-04:30', at + 500],
    ['2026-11-23T03:16:05Z', at],
    ['2026-11-23 03:16:05', at],
    ['2026-11-23 03:16', at - 5000],
    ['soon', undefined],
    ['', undefined],
    [null, undefined],
  ])('reads %s', (text, ms) => {
    expect(sqliteValues.millis(text)).toBe(ms);
  });

  it('reads back whatever it writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Date.UTC(9999, 11, 31) }), (ms) => {
        expect(sqliteValues.millis(sqliteValues.time(ms))).toBe(ms);
      }),
    );
  });
});
