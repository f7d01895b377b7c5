import type { Entry } from '../../../spiffe/registration/entry.ts';
import type { Selector } from '../../../spiffe/selector.ts';
import type { EntryField, NewEntry } from './contract.ts';
import { encodeAttributes } from './bundle-codec.ts';
import { validationError } from './errors.ts';

const MAX_ENTRY_ID_LENGTH = 255;
/** Bytes; what the column holds on every dialect. */
const MAX_ATTRIBUTES_SIZE = 65_535;

/** @throws FinialError `invalid-argument` in the words of the reference, which clients see */
export function validateNewEntry(entry: NewEntry): void {
  if (entry.selectors.length === 0) throw invalidEntry('missing selector list');
  if (entry.storeSvid) {
    if (entry.additionalAttributes?.disableX509SvidPrefetch === true) {
      throw validationError('specifying cache behaviour is incompatible with storable SVIDs');
    }
    requireOneType(entry.selectors);
  }
  const id = entry.id ?? '';
  if (Buffer.byteLength(id) > MAX_ENTRY_ID_LENGTH) throw invalidEntry('entry ID too long');
  if (!/^[A-Za-z0-9_.-]*$/.test(id)) throw invalidEntry('entry ID contains invalid characters');
  validateTtls(entry);
}

/** Checks the fields that an update replaces; `undefined` values stand for the field's zero. */
export function validateUpdate(change: Partial<Entry>, fields: ReadonlySet<EntryField>): void {
  if (fields.has('selectors') && (change.selectors ?? []).length === 0) throw invalidEntry('missing selector list');
  if (fields.has('spiffeId') && (change.spiffeId ?? '') === '') throw invalidEntry('missing SPIFFE ID');
  if (fields.has('parentId') && (change.parentId ?? '') === '') throw invalidEntry('missing parent ID');
  validateTtls({
    x509SvidTtl: fields.has('x509SvidTtl') ? (change.x509SvidTtl ?? 0) : 0,
    jwtSvidTtl: fields.has('jwtSvidTtl') ? (change.jwtSvidTtl ?? 0) : 0,
  });
}

/** SVIDs that are put into a store are found by selectors of that store's plugin only. */
export function requireOneType(selectors: readonly Selector[]): void {
  const type = selectors[0]?.type;
  if (selectors.some((one) => one.type !== type)) {
    throw invalidEntry('selector types must be the same when store SVID is enabled');
  }
}

/** The bytes to store; null when there are none. */
export function attributesColumn(attributes: Entry['additionalAttributes']): Buffer | null {
  if (attributes === undefined) return null;
  const data = encodeAttributes(attributes);
  if (data.length > MAX_ATTRIBUTES_SIZE) {
    throw invalidEntry(`additional attributes size exceeds the maximum allowed size of ${MAX_ATTRIBUTES_SIZE} bytes`);
  }
  return data;
}

function validateTtls(entry: Pick<Entry, 'x509SvidTtl' | 'jwtSvidTtl'>): void {
  if (entry.x509SvidTtl < 0) throw invalidEntry('X509SvidTtl is not set');
  if (entry.jwtSvidTtl < 0) throw invalidEntry('JwtSvidTtl is not set');
}

function invalidEntry(problem: string): Error {
  return validationError(`invalid registration entry: ${problem}`);
}
