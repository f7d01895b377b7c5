import { describe, expect, it } from 'vitest';
import { parseTrustDomain } from '../trust-domain.ts';
import { type Bundle, emptyBundle } from './bundle.ts';
import { readSpiffeBundle } from './json.ts';
import { pollInterval, refreshBundle } from './refresh.ts';

const td = parseTrustDomain('example.org');
const held = (sequenceNumber: bigint): Bundle => ({ ...emptyBundle(td), sequenceNumber });
const fetched = (members: string): ReturnType<typeof readSpiffeBundle> => readSpiffeBundle(`{"keys":[]${members}}`, td);

describe('refreshBundle', () => {
  it.each<[string, bigint, string, string, bigint]>([
    ['a larger number wins', 5n, ',"spiffe_sequence":6', 'updated', 6n],
    ['a smaller one loses', 5n, ',"spiffe_sequence":4', 'stale', 5n],
    ['a written 0 is a number and loses', 5n, ',"spiffe_sequence":0', 'stale', 5n],
    [
      'numbers beyond doubles are told apart',
      9007199254740993n,
      ',"spiffe_sequence":9007199254740992',
      'stale',
      9007199254740993n,
    ],
    ['the same number and content is no news', 5n, ',"spiffe_sequence":5', 'unchanged', 5n],
    [
      'of the same number with another content the later wins',
      5n,
      ',"spiffe_sequence":5,"spiffe_refresh_hint":9',
      'updated',
      5n,
    ],
    ['without a number the later wins', 5n, '', 'updated', 0n],
    ['over one without a number any number wins', 0n, ',"spiffe_sequence":1', 'updated', 1n],
    ['neither has a number, nothing changed', 0n, '', 'unchanged', 0n],
  ])('%s', (_what, number, members, outcome, kept) => {
    const before = held(number);
    const refresh = refreshBundle(before, fetched(members));
    expect([refresh.outcome, refresh.bundle.sequenceNumber]).toEqual([outcome, kept]);
    expect(refresh.bundle === before).toBe(outcome !== 'updated');
  });

  it('takes whatever is fetched where nothing is held, or what is held was set by an operator', () => {
    expect(refreshBundle(undefined, fetched(',"spiffe_sequence":1'))).toMatchObject({ outcome: 'updated' });
  });

  it('never mixes trust domains', () => {
    const other = { ...emptyBundle(parseTrustDomain('other.org')) };
    expect(() => refreshBundle(other, fetched(''))).toThrow('another trust domain');
  });
});

describe('pollInterval', () => {
  it('takes the limits of its caller', () => {
    const hint = fetched(',"spiffe_refresh_hint":10');
    expect(pollInterval(hint)).toBe(60);
    expect(pollInterval(hint, { least: 1, most: 5 })).toBe(5);
    expect(pollInterval(hint, { least: 1, most: 50 })).toBe(10);
    expect(pollInterval(fetched(''), { least: 1, most: 50 })).toBe(50);
  });
});
