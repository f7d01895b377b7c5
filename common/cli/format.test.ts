import { afterEach, describe, expect, it } from 'vitest';
import { rfc3339 } from '../time.ts';
import { goTime, plural } from './format.ts';

const at = new Date(Date.UTC(2026, 6, 2, 3, 4, 5, 60));
const zone = process.env['TZ'];

afterEach(() => {
  if (zone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = zone;
});

describe('times', () => {
  it('prints UTC', () => {
    expect(goTime(new Date(Date.UTC(2026, 0, 2, 3, 4, 5)), 'UTC')).toBe('2026-01-02 03:04:05 +0000 UTC');
    expect(goTime(at, 'UTC')).toBe('2026-07-02 03:04:05.06 +0000 UTC');
    expect(goTime(new Date(-1), 'UTC')).toBe('1969-12-31 23:59:59.999 +0000 UTC');
    expect(rfc3339(at, 'UTC')).toBe('2026-07-02T03:04:05Z');
    expect(rfc3339(at, 'UTC', { fraction: true })).toBe('2026-07-02T03:04:05.06Z');
  });

  it.each([
    ['UTC', '2026-07-02 03:04:05.06 +0000 UTC', '2026-07-02T03:04:05Z'],
    ['America/New_York', '2026-07-01 23:04:05.06 -0400 EDT', '2026-07-01T23:04:05-04:00'],
    ['Europe/Berlin', '2026-07-02 05:04:05.06 +0200 CEST', '2026-07-02T05:04:05+02:00'],
    ['Asia/Kolkata', '2026-07-02 08:34:05.06 +0530 IST', '2026-07-02T08:34:05+05:30'],
    ['Europe/Istanbul', '2026-07-02 06:04:05.06 +0300 +03', '2026-07-02T06:04:05+03:00'],
  ])('prints the time of %s', (name, go, rfc) => {
    process.env['TZ'] = name;
    expect(goTime(at, 'Local')).toBe(go);
    expect(rfc3339(at, 'Local')).toBe(rfc);
  });
});

describe('plural', () => {
  it('counts', () => {
    expect([plural(0, 'agent'), plural(1, 'entry', 'entries'), plural(2, 'entry', 'entries')]).toEqual([
      '0 agents',
      '1 entry',
      '2 entries',
    ]);
  });
});
