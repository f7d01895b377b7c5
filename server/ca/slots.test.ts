import { describe, expect, it } from 'vitest';
import type { AuthorityRecord, AuthorityStatus } from './journal/record.ts';
import { dueSteps, type Held, slotsOf } from './slots.ts';

const HOUR = 3600;

const held = (
  authorityId: string,
  slotId: string,
  status: AuthorityStatus | undefined,
  issuedAt = 0,
): Held<AuthorityRecord, string> => ({
  record: { authorityId, slotId, status, issuedAt, notAfter: issuedAt + 24 * HOUR },
  view: authorityId,
});

const shown = (usable: readonly Held<AuthorityRecord, string>[]): string => {
  const { current, next } = slotsOf(usable);
  return `${current.id}:${current.held?.view ?? '-'} ${next.id}:${next.held?.view ?? '-'}`;
};

describe('slotsOf', () => {
  it('begins in slot A', () => {
    expect(shown([])).toBe('B:- A:-');
  });

  it('puts the active authority first and the newest other one next', () => {
    expect(shown([held('1', 'A', 'active')])).toBe('A:1 B:-');
    expect(shown([held('1', 'B', 'active')])).toBe('B:1 A:-');
    expect(shown([held('1', 'A', 'old'), held('2', 'B', 'active')])).toBe('B:2 A:1');
    expect(shown([held('1', 'A', 'active'), held('2', 'B', 'prepared')])).toBe('A:1 B:2');
  });

  it('takes the newest of several active ones, as a torn reference journal may hold', () => {
    expect(shown([held('1', 'A', 'active'), held('2', 'B', 'active')])).toBe('B:2 A:-');
  });

  it('makes the newest authority the next one where none is active', () => {
    expect(shown([held('1', 'A', 'old'), held('2', 'B', 'prepared')])).toBe('A:- B:2');
    expect(shown([held('1', 'A', undefined)])).toBe('B:- A:1');
  });
});

describe('dueSteps', () => {
  const at = (hours: number, ...usable: Held<AuthorityRecord, string>[]) =>
    dueSteps(slotsOf(usable), hours * HOUR * 1000);

  it('prepares and activates where there is nothing to sign with', () => {
    expect(at(0)).toEqual(['prepare', 'activate']);
    expect(at(0, held('1', 'A', 'old'))).toEqual(['prepare', 'activate']);
    expect(at(25, held('1', 'A', 'active'))).toEqual(['prepare', 'activate']);
  });

  it('activates what was prepared before the restart', () => {
    expect(at(1, held('1', 'A', 'prepared'))).toEqual(['activate']);
  });

  it('prepares past half of the lifetime and activates past five sixths', () => {
    const [current, next] = [held('1', 'A', 'active'), held('2', 'B', 'prepared', 12 * HOUR)];
    expect(at(12, current)).toEqual([]);
    expect(at(12.01, current)).toEqual(['prepare']);
    expect(at(12.01, current, held('0', 'B', 'old'))).toEqual(['prepare']);
    expect(at(20, current, next)).toEqual([]);
    expect(at(20.01, current, next)).toEqual(['activate']);
    expect(at(20.01, current)).toEqual(['prepare', 'activate']);
  });

  it('does not activate what expired while it was waiting', () => {
    expect(at(50, held('2', 'B', 'prepared'), held('1', 'A', 'active'))).toEqual(['prepare', 'activate']);
  });
});
