import { describe, expect, it } from 'vitest';
import {
  activateAfter,
  adviseTtl,
  authoritySteps,
  isAvailabilityTargetIgnored,
  isBeforeItsTime,
  isJwtSvidFresh,
  isPastHalfLife,
  prepareAfter,
  shouldRenewX509Svid,
  type TtlAdvice,
} from './rotation.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 0, 1);

function lasting(lifetime: number): { notBefore: number; notAfter: number } {
  return { notBefore: START, notAfter: START + lifetime };
}

describe('authority thresholds', () => {
  it.each([
    ['a day', DAY, 12 * HOUR, 20 * HOUR],
    ['an hour', HOUR, 30 * MINUTE, 50 * MINUTE],
    ['a year, capped', 365 * DAY, 335 * DAY, 358 * DAY],
    ['60 days, at the first cap', 60 * DAY, 30 * DAY, 53 * DAY],
  ])('for a lifetime of %s', (_what, lifetime, prepare, activate) => {
    expect(prepareAfter(lasting(lifetime)) - START).toBe(prepare);
    expect(activateAfter(lasting(lifetime)) - START).toBe(activate);
  });

  it.each<[string, number, boolean, string[]]>([
    ['nothing at its beginning', 0, false, []],
    ['nothing at the very threshold', 12 * HOUR, false, []],
    ['prepare after it', 12 * HOUR + 1, false, ['prepare']],
    ['prepare once only', 13 * HOUR, true, []],
    ['nothing at the very second threshold', 20 * HOUR, true, []],
    ['activate after the second threshold', 20 * HOUR + 1, true, ['activate']],
    ['both when the first was missed', 21 * HOUR, false, ['prepare', 'activate']],
    ['both when it expired', 25 * HOUR, false, ['prepare', 'activate']],
    ['the prepared one takes over when it expired', DAY, true, ['activate']],
    ['nothing when the clock was set back a little', -10_000, false, []],
    ['both when it was set back to before the beginning', -10_001, false, ['prepare', 'activate']],
    ['the prepared one takes over then', -HOUR, true, ['activate']],
  ])('%s', (_what, age, hasPrepared, steps) => {
    expect(authoritySteps(lasting(DAY), hasPrepared, START + age)).toEqual(steps);
  });

  it('begins with both', () => {
    expect(authoritySteps(undefined, false, START)).toEqual(['prepare', 'activate']);
    expect(authoritySteps(undefined, true, START)).toEqual(['activate']);
  });

  it('keeps a server in authorities for virtual years, with one check in ten minutes', () => {
    let current = lasting(DAY);
    let prepared: typeof current | undefined;
    let activated = 0;
    let gaps = 0;
    for (let now = START; now < START + 3 * 365 * DAY; now += 10 * MINUTE) {
      if (now >= current.notAfter) gaps += 1;
      for (const step of authoritySteps(current, prepared !== undefined, now)) {
        if (step === 'prepare') {
          prepared = { notBefore: now, notAfter: now + DAY };
        } else if (prepared !== undefined) {
          current = prepared;
          prepared = undefined;
          activated += 1;
        }
      }
    }
    expect(gaps).toBe(0);
    // Each serves from the activation of itself to that of the next: prepared at half, taken over at five sixths.
    expect(activated).toBeGreaterThan(3 * 365);
    expect(activated).toBeLessThan(3 * 365 * 2.1);
  });
});

describe('shouldRenewX509Svid', () => {
  const hour = lasting(HOUR);
  const at = (svid: typeof hour, left: number, random: number, target?: number): boolean =>
    shouldRenewX509Svid(svid, svid.notAfter - left, () => random, target);

  it.each([
    [0, 27 * MINUTE],
    [0.5, 30 * MINUTE],
    [1, 33 * MINUTE],
  ])('with chance %d renews when %d ms are left', (random, left) => {
    expect(at(hour, left + 1, random)).toBe(false);
    expect(at(hour, left, random)).toBe(true);
  });

  it('renews an expired one whatever chance says', () => {
    expect(at(hour, 0, 0)).toBe(true);
    expect(at(lasting(0), 0, 0)).toBe(true);
  });

  it('follows an availability target that leaves more than 12 hours', () => {
    const long = lasting(60 * HOUR);
    expect(at(long, 40 * HOUR, 0, 40 * HOUR)).toBe(true);
    expect(at(long, 40 * HOUR + 1, 0, 40 * HOUR)).toBe(false);
    expect(at(long, 40 * HOUR + 5 * MINUTE, 0.5, 40 * HOUR)).toBe(true);
    expect(isAvailabilityTargetIgnored(long, 40 * HOUR)).toBe(false);
  });

  it('falls back to the half-life when the target leaves no more than that', () => {
    const day = lasting(DAY);
    expect(isAvailabilityTargetIgnored(day, 12 * HOUR)).toBe(true);
    expect(at(day, 12 * HOUR, 0, 12 * HOUR)).toBe(false);
    expect(at(day, 10.8 * HOUR, 0, 12 * HOUR)).toBe(true);
    expect(isAvailabilityTargetIgnored(day, 0)).toBe(false);
  });

  it('still renews at half-life when the target is small', () => {
    expect(at(lasting(60 * HOUR), 27 * HOUR, 0, HOUR)).toBe(true);
  });
});

describe('other SVIDs', () => {
  it('hands out a JWT-SVID while more than about half is left', () => {
    const svid = lasting(5 * MINUTE);
    expect(isJwtSvidFresh(svid, START + 150_000 - 1, () => 0.5)).toBe(true);
    expect(isJwtSvidFresh(svid, START + 150_000, () => 0.5)).toBe(false);
    expect(isJwtSvidFresh(svid, START + 160_000, () => 0)).toBe(true);
    expect(isJwtSvidFresh(svid, START + 140_000, () => 1)).toBe(false);
    expect(isJwtSvidFresh(lasting(0), START, () => 0)).toBe(false);
  });

  it('are from a wrong time when the clock was set back since, and not when they came so', () => {
    const svid = { notBefore: START - 10_000, receivedAt: START };
    expect(isBeforeItsTime(svid, START - 10_000)).toBe(false);
    expect(isBeforeItsTime(svid, START - 10_001)).toBe(true);
    const issuedAhead = { notBefore: START + HOUR, receivedAt: START };
    expect(isBeforeItsTime(issuedAhead, START)).toBe(false);
    expect(isBeforeItsTime(issuedAhead, START - 10_000)).toBe(false);
    expect(isBeforeItsTime(issuedAhead, START - 10_001)).toBe(true);
  });

  it('renews the SVID of a server after its half-life', () => {
    expect(isPastHalfLife(lasting(HOUR), START + 30 * MINUTE)).toBe(false);
    expect(isPastHalfLife(lasting(HOUR), START + 30 * MINUTE + 1)).toBe(true);
  });
});

describe('adviseTtl', () => {
  it.each<[string, number, number, TtlAdvice]>([
    ['fits', DAY, 4 * HOUR, { kind: 'fits' }],
    ['fits at the cap', 42 * DAY, 7 * DAY, { kind: 'fits' }],
    ['either is enough', DAY, 5 * HOUR, { kind: 'lower-svid-or-raise-ca', maxSvidTtl: 4 * HOUR, minCaTtl: 30 * HOUR }],
    ['both are needed', DAY, 8 * DAY, { kind: 'lower-svid-and-raise-ca', maxSvidTtl: 7 * DAY, minCaTtl: 42 * DAY }],
    ['no CA is long enough', 90 * DAY, 8 * DAY, { kind: 'lower-svid', maxSvidTtl: 7 * DAY }],
  ])('%s', (_what, caTtl, svidTtl, advice) => {
    expect(adviseTtl(caTtl, svidTtl)).toEqual(advice);
  });
});
