/** Each kind of authority alternates between two slots, each with its own key in the KeyManager. */
export type SlotId = 'A' | 'B';

/**
 * `prepared`: in the bundle, not used yet. `active`: signs. `old`: no longer signs, still verifies what it signed.
 */
export type AuthorityStatus = 'prepared' | 'active' | 'old';

/** What the journal keeps of one authority of any kind. Times are Unix seconds. */
export interface AuthorityRecord {
  /** `A` or `B`; anything else makes the record unusable. */
  readonly slotId: string;
  readonly issuedAt: number;
  readonly notAfter: number;
  /** Lower-case hex of the subject key ID for X.509, the `kid` for tokens. */
  readonly authorityId: string;
  /** Absent in records of old versions, which did not keep it. */
  readonly status: AuthorityStatus | undefined;
}

/** A CA that signs certificates. */
export interface X509Record extends AuthorityRecord {
  /** DER. */
  readonly certificate: Buffer;
  /** DER, this CA's certificate first, then its issuers without the root; empty when self-signed. */
  readonly upstreamChain: readonly Buffer[];
  /** Lower-case hex of the issuer's subject key ID; empty when self-signed. */
  readonly upstreamAuthorityId: string;
}

/** A key that signs tokens. */
export interface TokenKeyRecord extends AuthorityRecord {
  readonly keyId: string;
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Buffer;
}

/** All that the journal of one server holds, each list oldest first. */
export interface JournalEntries {
  readonly x509: readonly X509Record[];
  readonly jwt: readonly TokenKeyRecord[];
  /** Kept as found: this server does not make WIT keys yet, a reference server on the same data may. */
  readonly wit: readonly TokenKeyRecord[];
}

/** The journal of a server that never ran. */
export const emptyJournal: JournalEntries = Object.freeze({ x509: [], jwt: [], wit: [] });

/** Older records are dropped first; the number is the reference's. */
const MOST_RECORDS = 10;

/**
 * The records after `record` was prepared. A record of the same slot that was prepared but never used goes, since the key
 * it speaks of has just been overwritten.
 */
export function withPrepared<R extends AuthorityRecord>(records: readonly R[], record: R): readonly R[] {
  const kept = records.filter((one) => one.slotId !== record.slotId || one.status !== 'prepared');
  return [...kept, record].slice(-MOST_RECORDS);
}

/**
 * The records without an active one, since the one that was active cannot be used any more. Whoever comes next must be
 * found by another key: see `rowKeyOf`.
 */
export function withoutActive<R extends AuthorityRecord>(records: readonly R[]): readonly R[] {
  return records.map((one) => (one.status === 'active' ? { ...one, status: 'old' } : one));
}

/** The records after the authority became active: whichever was active before is old. */
export function withActive<R extends AuthorityRecord>(records: readonly R[], authorityId: string): readonly R[] {
  return withoutActive(records).map((one) => (one.authorityId === authorityId ? { ...one, status: 'active' } : one));
}

/**
 * The X.509 authority that the journal's row is found by: the active one, and before there is one, the one that is about
 * to be.
 */
export function rowKeyOf(entries: JournalEntries): string {
  const newest = (status: AuthorityStatus): X509Record | undefined =>
    entries.x509.findLast((one) => one.status === status);
  return (newest('active') ?? newest('prepared'))?.authorityId ?? '';
}

/** Whether everything in it expired before `time`. WIT keys are not asked, as the reference does not ask them. */
export function allExpiredBefore(entries: JournalEntries, time: number): boolean {
  return [...entries.x509, ...entries.jwt].every((one) => one.notAfter <= time);
}
