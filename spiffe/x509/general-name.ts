import { SpiffeError } from '../error.ts';
import { contextConstructed, contextPrimitive, DerReader } from './der.ts';
import { decodeIa5 } from './der-string.ts';
import { parseName } from './name.ts';

/** The forms of a GeneralName (RFC 5280 4.2.1.6). */
export type NameForm =
  | 'otherName'
  | 'rfc822Name'
  | 'dNSName'
  | 'x400Address'
  | 'directoryName'
  | 'ediPartyName'
  | 'uniformResourceIdentifier'
  | 'iPAddress'
  | 'registeredID';

/** Each form by the one tag that DER gives it; the type has no room for others. */
const FORMS: ReadonlyMap<number, NameForm> = new Map([
  [contextConstructed(0), 'otherName'],
  [contextPrimitive(1), 'rfc822Name'],
  [contextPrimitive(2), 'dNSName'],
  [contextConstructed(3), 'x400Address'],
  [contextConstructed(4), 'directoryName'],
  [contextConstructed(5), 'ediPartyName'],
  [contextPrimitive(6), 'uniformResourceIdentifier'],
  [contextPrimitive(7), 'iPAddress'],
  [contextPrimitive(8), 'registeredID'],
]);

/** A GeneralName as it stands. */
export interface GeneralName {
  readonly form: NameForm;
  readonly content: Buffer;
}

/** The names in a subject alternative name, by form. */
export interface AltNames {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly emails: readonly string[];
  /** 4 or 16 bytes each. */
  readonly ipAddresses: readonly Buffer[];
  /** DER of a Name each. */
  readonly directoryNames: readonly Buffer[];
  /** The forms of all names that are not read here. */
  readonly otherForms: readonly NameForm[];
}

/** What a certificate without a subject alternative name has. */
export const NO_ALT_NAMES: AltNames = Object.freeze({
  uris: [],
  dnsNames: [],
  emails: [],
  ipAddresses: [],
  directoryNames: [],
  otherForms: [],
});

/**
 * The next element of `reader`, which must be a GeneralName.
 *
 * @throws SpiffeError `invalid-der`
 */
export function readGeneralName(reader: DerReader, what: string): GeneralName {
  const { tag, content } = reader.element(what);
  const form = FORMS.get(tag);
  if (form === undefined) throw new SpiffeError('invalid-der', `${what} has an unexpected type`);
  return { form, content };
}

/**
 * The value of a subject alternative name extension (RFC 5280 4.2.1.6).
 *
 * @throws SpiffeError `invalid-der` also when there is no name in it
 */
export function readAltNames(value: Buffer): AltNames {
  const outer = new DerReader(value);
  const names = outer.sequence('subjectAltName');
  outer.finish('subjectAltName');
  const emails: string[] = [];
  const dnsNames: string[] = [];
  const uris: string[] = [];
  const ipAddresses: Buffer[] = [];
  const directoryNames: Buffer[] = [];
  const otherForms: NameForm[] = [];
  do {
    const { form, content } = readGeneralName(names, 'subjectAltName');
    if (form === 'rfc822Name') emails.push(decodeIa5(content, 'subjectAltName email'));
    else if (form === 'dNSName') dnsNames.push(decodeIa5(content, 'subjectAltName DNS name'));
    else if (form === 'uniformResourceIdentifier') uris.push(decodeIa5(content, 'subjectAltName URI'));
    else if (form === 'iPAddress') ipAddresses.push(checkAddress(content));
    else if (form === 'directoryName') directoryNames.push(checkName(content));
    else otherForms.push(form);
  } while (!names.atEnd);
  return { uris, dnsNames, emails, ipAddresses, directoryNames, otherForms };
}

function checkAddress(content: Buffer): Buffer {
  if (content.length !== 4 && content.length !== 16) {
    throw new SpiffeError('invalid-der', 'subjectAltName IP address is not 4 or 16 bytes long');
  }
  return content;
}

function checkName(content: Buffer): Buffer {
  parseName(content);
  return content;
}
