import { describe, expect, it } from 'vitest';
import { type AuthorityRecord, allExpiredBefore, emptyJournal, rowKeyOf, withActive, withPrepared } from './record.ts';

const record = (authorityId: string, slotId: string, status: AuthorityRecord['status'], notAfter = 100) => ({
  authorityId,
  slotId,
  status,
  issuedAt: 0,
  notAfter,
});
const x509 = (one: AuthorityRecord) => ({
  ...one,
  certificate: Buffer.of(),
  upstreamChain: [],
  upstreamAuthorityId: '',
});

describe('the records of a kind', () => {
  it('lose a prepared one whose key the new one overwrites, and nothing else', () => {
    const before = [record('1', 'A', 'active'), record('2', 'B', 'old'), record('3', 'B', 'prepared')];
    const after = withPrepared(before, record('4', 'B', 'prepared'));
    expect(after.map((one) => one.authorityId)).toEqual(['1', '2', '4']);
  });

  it('are at most ten, the oldest going first', () => {
    let records: readonly AuthorityRecord[] = [];
    for (let i = 0; i < 12; i += 1) records = withPrepared(records, record(String(i), i % 2 ? 'B' : 'A', 'old'));
    expect(records.map((one) => one.authorityId)).toEqual(['2', '3', '4', '5', '6', '7', '8', '9', '10', '11']);
  });

  it('have one active', () => {
    const after = withActive([record('1', 'A', 'active'), record('2', 'B', 'prepared')], '2');
    expect(after.map((one) => one.status)).toEqual(['old', 'active']);
  });
});

describe('the key of the row', () => {
  it('is the active X.509 authority, else the one about to be', () => {
    expect(rowKeyOf(emptyJournal)).toBe('');
    const prepared = x509(record('1', 'A', 'prepared'));
    expect(rowKeyOf({ ...emptyJournal, x509: [prepared] })).toBe('1');
    expect(rowKeyOf({ ...emptyJournal, x509: [x509(record('2', 'B', 'active')), prepared] })).toBe('2');
  });
});

describe('a stale journal', () => {
  it('has nothing left that did not expire', () => {
    const one = x509(record('1', 'A', 'old', 100));
    const two = { ...record('2', 'A', 'old', 200), keyId: '2', publicKey: Buffer.of() };
    expect(allExpiredBefore({ ...emptyJournal, x509: [one], jwt: [two] }, 199)).toBe(false);
    expect(allExpiredBefore({ ...emptyJournal, x509: [one], jwt: [two] }, 200)).toBe(true);
    expect(allExpiredBefore({ ...emptyJournal, x509: [one], wit: [two] }, 100)).toBe(true);
  });
});
