import { DerReader, TAG } from './der.ts';
import { encode, objectIdentifier, sequence, setOf } from './der-writer.ts';
import { decodeString, isPrintable } from './der-string.ts';
import { OID } from './oid.ts';

/** One attribute of a distinguished name. */
export interface NameAttribute {
  /** Dotted object identifier. */
  readonly type: string;
  readonly value: string;
}

/**
 * A distinguished name by its usual attributes. What is absent or empty is not in the name. Several values of one
 * attribute form one relative distinguished name, as the reference writes them.
 */
export interface Subject {
  readonly country?: readonly string[];
  readonly organization?: readonly string[];
  readonly organizationalUnit?: readonly string[];
  readonly locality?: readonly string[];
  readonly province?: readonly string[];
  readonly streetAddress?: readonly string[];
  readonly postalCode?: readonly string[];
  readonly serialNumber?: string;
  readonly commonName?: string;
  /** Attributes that have no name above, each a relative distinguished name of its own at the end. */
  readonly extra?: readonly NameAttribute[];
}

type ListField = Exclude<keyof Subject, 'serialNumber' | 'commonName' | 'extra'>;
type Field = { readonly type: string; readonly label: string } & (
  | { readonly field: ListField; readonly list: true }
  | { readonly field: 'serialNumber' | 'commonName'; readonly list: false }
);

/** In the order in which the reference writes them; the labels are those of RFC 2253 and the reference. */
const FIELDS: readonly Field[] = [
  { field: 'country', list: true, type: OID.country, label: 'C' },
  { field: 'province', list: true, type: OID.province, label: 'ST' },
  { field: 'locality', list: true, type: OID.locality, label: 'L' },
  { field: 'streetAddress', list: true, type: OID.streetAddress, label: 'STREET' },
  { field: 'postalCode', list: true, type: OID.postalCode, label: 'POSTALCODE' },
  { field: 'organization', list: true, type: OID.organization, label: 'O' },
  { field: 'organizationalUnit', list: true, type: OID.organizationalUnit, label: 'OU' },
  { field: 'commonName', list: false, type: OID.commonName, label: 'CN' },
  { field: 'serialNumber', list: false, type: OID.serialNumber, label: 'SERIALNUMBER' },
];

const fieldByType = new Map(FIELDS.map((field) => [field.type, field]));

/** The DER of a name without attributes. */
export const EMPTY_NAME = sequence();

/**
 * The attributes of the DER of a Name (RFC 5280 4.1.2.4), in the order in which they stand, by relative distinguished
 * name.
 *
 * @throws SpiffeError `invalid-der` also when a value is not text
 */
export function parseName(der: Buffer): readonly (readonly NameAttribute[])[] {
  const outer = new DerReader(der);
  const names = outer.sequence('name');
  outer.finish('name');
  const found: NameAttribute[][] = [];
  while (!names.atEnd) found.push(readRelativeName(names));
  return found;
}

function readRelativeName(names: DerReader): NameAttribute[] {
  const set = names.enter(TAG.set, 'relative distinguished name');
  const attributes: NameAttribute[] = [];
  // RFC 5280 4.1.2.4: SET SIZE (1..MAX)
  do {
    const attribute = set.sequence('name attribute');
    const type = attribute.oid('name attribute type');
    const { tag, content } = attribute.element('name attribute value');
    attribute.finish('name attribute');
    attributes.push({ type, value: decodeString(tag, content, 'name attribute value') });
  } while (!set.atEnd);
  return attributes;
}

/**
 * The name's attributes by field. Of several common names or serial numbers the last counts, as in the reference.
 *
 * @param der of a Name
 * @throws SpiffeError `invalid-der`
 */
export function subjectOf(der: Buffer): Subject {
  const lists: Partial<Record<ListField, string[]>> = {};
  const single: { serialNumber?: string; commonName?: string } = {};
  const extra: NameAttribute[] = [];
  for (const attribute of parseName(der).flat()) {
    const field = fieldByType.get(attribute.type);
    if (field === undefined) extra.push(attribute);
    else if (field.list) (lists[field.field] ??= []).push(attribute.value);
    else single[field.field] = attribute.value;
  }
  return { ...lists, ...single, ...(extra.length === 0 ? {} : { extra }) };
}

/** The DER of a Name. Values are PrintableString where that can hold them, else UTF8String. */
export function encodeName(subject: Subject): Buffer {
  const names: Buffer[] = [];
  for (const field of FIELDS) {
    const values = valuesOf(subject, field);
    if (values.length > 0) names.push(setOf(...values.map((value) => encodeAttribute(field.type, value))));
  }
  for (const { type, value } of subject.extra ?? []) names.push(setOf(encodeAttribute(type, value)));
  return sequence(...names);
}

function valuesOf(subject: Subject, field: Field): readonly string[] {
  if (field.list) return subject[field.field] ?? [];
  const value = subject[field.field];
  return value === undefined || value === '' ? [] : [value];
}

const encodeAttribute = (type: string, value: string): Buffer => sequence(objectIdentifier(type), encodeText(value));

function encodeText(value: string): Buffer {
  return encode(isPrintable(value) ? TAG.printableString : TAG.utf8String, Buffer.from(value, 'utf8'));
}

/** Whether the name has no attribute at all. */
export const isEmptyName = (der: Buffer): boolean => der.equals(EMPTY_NAME);

/**
 * The text of a name as the reference prints it, roughly RFC 2253: last attribute first, `CN=db,O=SPIRE,C=US`. The
 * attributes stand in the order of their kind, whatever their order in the certificate; kinds without a short label come
 * last, as `1.2.3=#` and the hex of their value's DER.
 *
 * @param der of a Name
 * @throws SpiffeError `invalid-der`
 */
export function formatName(der: Buffer): string {
  return formatSubject(subjectOf(der));
}

/** As formatName, of a name by its attributes. */
export function formatSubject(subject: Subject): string {
  const names = (subject.extra ?? []).map(({ type, value }) => `${type}=#${encodeText(value).toString('hex')}`);
  for (const field of FIELDS) {
    const values = valuesOf(subject, field);
    if (values.length > 0) names.push(values.map((value) => `${field.label}=${escapeValue(value)}`).join('+'));
  }
  return names.toReversed().join(',');
}

/** RFC 2253 2.4, as far as the reference follows it. */
function escapeValue(value: string): string {
  return value.replaceAll(/[,+"\\<>;]|^[ #]| $/g, (character) => `\\${character}`);
}
