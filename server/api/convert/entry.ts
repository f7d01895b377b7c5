import { FinialError } from '../../../common/errors.ts';
import type { EntryField, NewEntry } from '../../../plugins/datastore/sql/contract.ts';
import type { Entry as EntryMessage, Entry__Output } from '../../../proto/gen/spire/api/types/Entry.ts';
import type { EntryMask__Output } from '../../../proto/gen/spire/api/types/EntryMask.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import type { Entry } from '../../../spiffe/registration/entry.ts';
import { parseTrustDomain, type TrustDomain } from '../../../spiffe/trust-domain.ts';
import { checkDnsName, checkHint } from '../../entries/validate.ts';
import { selectorsFromProto } from './filters.ts';
import { idToProto, memberIdFromProto, workloadIdFromProto } from './ids.ts';

type Reader<F extends EntryField> = (message: Entry__Output, trustDomain: TrustDomain) => Entry[F];

/** How each field is read and checked, in the order in which the reference checks them. */
const readers: { readonly [F in EntryField]-?: Reader<F> } = {
  parentId: (message, td) => naming('invalid parent ID', () => memberIdFromProto(message.parent_id, td)),
  spiffeId: (message, td) => naming('invalid spiffe ID', () => workloadIdFromProto(message.spiffe_id, td)),
  admin: ({ admin }) => admin,
  dnsNames({ dns_names: names }) {
    for (const name of names) naming('invalid DNS name', () => checkDnsName(name));
    return names;
  },
  downstream: ({ downstream }) => downstream,
  expiresAt: ({ expires_at: text }) => wholeNumber(text, 'expires_at'),
  federatesWith: ({ federates_with: names }) =>
    names.map((name) => naming('invalid federated trust domain', () => parseTrustDomain(name))),
  selectors({ selectors }) {
    if (selectors.length === 0) throw new FinialError('invalid-argument', 'selector list is empty');
    return selectorsFromProto(selectors);
  },
  storeSvid: ({ store_svid: store }) => store,
  x509SvidTtl: ({ x509_svid_ttl: ttl }) => ttl,
  jwtSvidTtl: ({ jwt_svid_ttl: ttl }) => ttl,
  hint({ hint }) {
    checkHint(hint);
    return hint;
  },
  additionalAttributes({ additional_attributes: attributes }) {
    if (attributes === null || attributes === undefined) return undefined;
    return {
      disableX509SvidPrefetch: attributes.disable_x509_svid_prefetch,
      jwtSvidIncludeJti: attributes.jwt_svid_include_jti,
    };
  },
};

const order = Object.keys(readers) as EntryField[];

/** The mask's name of each field that can be changed; revision and creation time are the server's own. */
const maskKeys = {
  parentId: 'parent_id',
  spiffeId: 'spiffe_id',
  admin: 'admin',
  dnsNames: 'dns_names',
  downstream: 'downstream',
  expiresAt: 'expires_at',
  federatesWith: 'federates_with',
  selectors: 'selectors',
  storeSvid: 'store_svid',
  x509SvidTtl: 'x509_svid_ttl',
  jwtSvidTtl: 'jwt_svid_ttl',
  hint: 'hint',
  additionalAttributes: 'additional_attributes',
} as const satisfies Record<EntryField, keyof EntryMask__Output>;

/** A whole new entry. @throws FinialError or SpiffeError naming the field and the rule */
export function newEntryFromProto(message: Entry__Output, trustDomain: TrustDomain): NewEntry {
  // Every field is read, so the result is whole.
  const entry = readFields(message, order, trustDomain) as NewEntry;
  return message.id === '' ? entry : { ...entry, id: message.id };
}

/**
 * The fields of a change; without a mask all of them.
 *
 * @throws FinialError or SpiffeError naming the field and the rule
 */
export function entryChangeFromProto(
  message: Entry__Output,
  mask: EntryMask__Output | null,
  trustDomain: TrustDomain,
): { readonly change: Pick<Entry, 'id'> & Partial<Entry>; readonly fields: readonly EntryField[] | undefined } {
  const fields = mask === null ? undefined : order.filter((field) => mask[maskKeys[field]]);
  return { change: { ...readFields(message, fields ?? order, trustDomain), id: message.id }, fields };
}

function readFields(message: Entry__Output, fields: readonly EntryField[], trustDomain: TrustDomain): Partial<Entry> {
  const read = fields.map((field): [EntryField, unknown] => [field, readers[field](message, trustDomain)]);
  return Object.fromEntries(read.filter(([, value]) => value !== undefined));
}

/** An entry as callers see it. What the mask leaves out, and what is at its default, is not in the message. */
export function entryToProto(entry: Entry, mask: EntryMask__Output | null): EntryMessage {
  const message: EntryMessage = { id: entry.id };
  const wants = (field: keyof EntryMask__Output): boolean => mask === null || mask[field];
  if (wants('spiffe_id')) message.spiffe_id = idToProto(entry.spiffeId);
  if (wants('parent_id')) message.parent_id = idToProto(entry.parentId);
  if (wants('selectors')) message.selectors = entry.selectors;
  if (wants('x509_svid_ttl') && entry.x509SvidTtl !== 0) message.x509_svid_ttl = entry.x509SvidTtl;
  if (wants('federates_with')) message.federates_with = entry.federatesWith;
  if (wants('admin') && entry.admin) message.admin = true;
  if (wants('downstream') && entry.downstream) message.downstream = true;
  if (wants('expires_at') && entry.expiresAt !== 0) message.expires_at = entry.expiresAt;
  if (wants('dns_names')) message.dns_names = entry.dnsNames;
  if (wants('revision_number') && entry.revisionNumber !== 0) message.revision_number = entry.revisionNumber;
  if (wants('store_svid') && entry.storeSvid) message.store_svid = true;
  if (wants('jwt_svid_ttl') && entry.jwtSvidTtl !== 0) message.jwt_svid_ttl = entry.jwtSvidTtl;
  if (wants('hint') && entry.hint !== '') message.hint = entry.hint;
  if (wants('created_at') && entry.createdAt !== 0) message.created_at = entry.createdAt;
  if (wants('additional_attributes') && entry.additionalAttributes !== undefined) {
    message.additional_attributes = {
      disable_x509_svid_prefetch: entry.additionalAttributes.disableX509SvidPrefetch,
      jwt_svid_include_jti: entry.additionalAttributes.jwtSvidIncludeJti,
    };
  }
  return message;
}

function wholeNumber(text: string, what: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new FinialError('invalid-argument', `${what} is out of range`);
}

/** Puts the field's name before what is wrong with it. */
function naming<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof FinialError || error instanceof SpiffeError)) throw error;
    throw new FinialError('invalid-argument', `${what}: ${error.message}`, { cause: error });
  }
}
