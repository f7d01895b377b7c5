import { FinialError } from '../../../common/errors.ts';
import { loadMessage } from '../../../common/rpc/message.ts';
import type { Entries, Entries__Output } from '../../../proto/gen/storage/Entries.ts';
import type { JWTKeyEntry, JWTKeyEntry__Output } from '../../../proto/gen/storage/JWTKeyEntry.ts';
import { Status, type Status__Output } from '../../../proto/gen/storage/Status.ts';
import type { X509CAEntry, X509CAEntry__Output } from '../../../proto/gen/storage/X509CAEntry.ts';
import type { AuthorityStatus, JournalEntries, TokenKeyRecord, X509Record } from './record.ts';

const message = loadMessage<Entries, Entries__Output>('private/server/journal/journal.proto', 'Entries');

/** The journal as the `data` column holds it, the same bytes that the reference writes. */
export function encodeJournal(entries: JournalEntries): Buffer {
  return message.encode({
    x509CAs: entries.x509.map(fromX509),
    jwtKeys: entries.jwt.map(fromTokenKey),
    witKeys: entries.wit.map(fromTokenKey),
  });
}

/** @throws FinialError `data-loss` when the bytes are no journal */
export function decodeJournal(data: Buffer): JournalEntries {
  let entries: Entries__Output;
  try {
    entries = message.decode(data);
  } catch (error) {
    throw new FinialError('data-loss', 'unable to unmarshal entries from CA journal record', { cause: error });
  }
  return {
    x509: entries.x509CAs.map(toX509),
    jwt: entries.jwtKeys.map(toTokenKey),
    wit: entries.witKeys.map(toTokenKey),
  };
}

function fromX509(record: X509Record): X509CAEntry {
  return withoutDefaults({
    slot_id: record.slotId,
    issued_at: record.issuedAt,
    certificate: record.certificate,
    upstream_chain: record.upstreamChain,
    status: fromStatus(record.status),
    authority_id: record.authorityId,
    not_after: record.notAfter,
    upstream_authority_id: record.upstreamAuthorityId,
  });
}

function fromTokenKey(record: TokenKeyRecord): JWTKeyEntry {
  return withoutDefaults({
    slot_id: record.slotId,
    issued_at: record.issuedAt,
    not_after: record.notAfter,
    kid: record.keyId,
    public_key: record.publicKey,
    status: fromStatus(record.status),
    authority_id: record.authorityId,
  });
}

/** proto3 leaves defaults out; the encoder would write whatever it is handed. */
function withoutDefaults<T extends object>(fields: T): Partial<T> {
  const empty = (value: unknown): boolean => value === '' || value === 0 || value === Status.UNKNOWN;
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !empty(value))) as Partial<T>;
}

function toX509(entry: X509CAEntry__Output): X509Record {
  return {
    slotId: entry.slot_id,
    issuedAt: Number(entry.issued_at),
    notAfter: Number(entry.not_after),
    authorityId: entry.authority_id,
    status: toStatus(entry.status),
    certificate: entry.certificate,
    upstreamChain: entry.upstream_chain,
    upstreamAuthorityId: entry.upstream_authority_id,
  };
}

function toTokenKey(entry: JWTKeyEntry__Output): TokenKeyRecord {
  return {
    slotId: entry.slot_id,
    issuedAt: Number(entry.issued_at),
    notAfter: Number(entry.not_after),
    authorityId: entry.authority_id,
    status: toStatus(entry.status),
    keyId: entry.kid,
    publicKey: entry.public_key,
  };
}

const WIRE_STATUS = { prepared: Status.PREPARED, active: Status.ACTIVE, old: Status.OLD } as const;

function fromStatus(status: AuthorityStatus | undefined): Status {
  return status === undefined ? Status.UNKNOWN : WIRE_STATUS[status];
}

/** Undefined for `UNKNOWN` and for what a newer version may have added. */
function toStatus(status: Status__Output): AuthorityStatus | undefined {
  const statuses = ['prepared', 'active', 'old'] as const;
  return statuses.find((one) => WIRE_STATUS[one] === status);
}
