import { SpiffeError } from '../error.ts';
import { contextConstructed, contextPrimitive, DerReader, TAG } from './der.ts';
import { type AltNames, NO_ALT_NAMES, readAltNames } from './general-name.ts';
import { type NameConstraints, readNameConstraints } from './name-constraints.ts';
import { OID } from './oid.ts';

/** What a key may be used for (RFC 5280 4.2.1.3), by bit number. */
export const KEY_USAGES = [
  'digitalSignature',
  'contentCommitment',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const;

/** The names of RFC 5280, 4.2.1.3. */
export type KeyUsageName = (typeof KEY_USAGES)[number];

interface KeyUsage {
  readonly critical: boolean;
  readonly names: ReadonlySet<KeyUsageName>;
}

/** One extension as it stands in a certificate or request. */
export interface Extension {
  /** Dotted object identifier. */
  readonly oid: string;
  readonly critical: boolean;
  /** DER of the extension's own type. */
  readonly value: Buffer;
}

/** What the extensions of a certificate or request say, as far as it matters here. */
export interface ReadExtensions extends AltNames {
  /** In the order in which they stand. */
  readonly extensions: readonly Extension[];
  /** Undefined when there are no basic constraints, which means that it is not a CA. */
  readonly isCa: boolean | undefined;
  /** How many CA certificates may follow below this one; undefined when unlimited. */
  readonly pathLength: number | undefined;
  readonly keyUsage: KeyUsage | undefined;
  /** Dotted object identifiers. */
  readonly extKeyUsage: readonly string[] | undefined;
  readonly subjectKeyId: Buffer | undefined;
  readonly authorityKeyId: Buffer | undefined;
  readonly nameConstraints: NameConstraints | undefined;
  /** Object identifiers of critical extensions that are not understood here. */
  readonly unknownCritical: readonly string[];
}

type Found = { -readonly [K in keyof ReadExtensions]: ReadExtensions[K] };

/** What a certificate without extensions says. */
export const NO_EXTENSIONS: ReadExtensions = Object.freeze(nothing());

function nothing(): Found {
  return {
    extensions: [],
    ...NO_ALT_NAMES,
    isCa: undefined,
    pathLength: undefined,
    keyUsage: undefined,
    extKeyUsage: undefined,
    subjectKeyId: undefined,
    authorityKeyId: undefined,
    nameConstraints: undefined,
    unknownCritical: [],
  };
}

type Reader = (value: Buffer, found: Found, critical: boolean) => void;

/** How each extension that is understood is read. */
const READERS: Readonly<Record<string, Reader>> = {
  [OID.subjectAltName]: (value, found) => {
    Object.assign(found, readAltNames(value));
  },
  [OID.basicConstraints]: readBasicConstraints,
  [OID.keyUsage]: readKeyUsage,
  [OID.extKeyUsage]: readExtKeyUsage,
  [OID.subjectKeyIdentifier]: (value, found) => {
    const reader = new DerReader(value);
    found.subjectKeyId = reader.octetString('subjectKeyIdentifier');
    reader.finish('subjectKeyIdentifier');
  },
  [OID.authorityKeyIdentifier]: readAuthorityKeyId,
  [OID.nameConstraints]: (value, found) => {
    found.nameConstraints = readNameConstraints(value);
  },
  [OID.certificatePolicies]: checkPolicies,
};

/**
 * Reads the elements of an Extensions sequence (RFC 5280 4.1.2.9).
 *
 * @throws SpiffeError `invalid-der`, also when an extension is there twice (RFC 5280 4.2)
 */
export function readExtensions(list: DerReader): ReadExtensions {
  const found = nothing();
  const extensions: Extension[] = [];
  const unknown: string[] = [];
  // A Set, as what a stranger sends may hold thousands.
  const seen = new Set<string>();
  // RFC 5280 4.1.2.9: SEQUENCE SIZE (1..MAX)
  do {
    const extension = readExtension(list.sequence('extension'));
    if (seen.has(extension.oid)) throw new SpiffeError('invalid-der', `extension ${extension.oid} is there twice`);
    seen.add(extension.oid);
    extensions.push(extension);
    const read = READERS[extension.oid];
    if (read !== undefined) read(extension.value, found, extension.critical);
    else if (extension.critical) unknown.push(extension.oid);
  } while (!list.atEnd);
  found.extensions = extensions;
  found.unknownCritical = unknown;
  return found;
}

function readExtension(reader: DerReader): Extension {
  const oid = reader.oid('extension');
  const critical = reader.peek() === TAG.boolean && reader.boolean('criticality of an extension');
  const value = reader.octetString('value of an extension');
  reader.finish('extension');
  return { oid, critical, value };
}

/** RFC 5280 4.2.1.9. */
function readBasicConstraints(value: Buffer, found: Found): void {
  const outer = new DerReader(value);
  const reader = outer.sequence('basicConstraints');
  outer.finish('basicConstraints');
  found.isCa = reader.peek() === TAG.boolean && reader.boolean('basicConstraints cA');
  if (reader.peek() === TAG.integer) found.pathLength = reader.smallInteger('basicConstraints pathLenConstraint');
  reader.finish('basicConstraints');
}

function readKeyUsage(value: Buffer, found: Found, critical: boolean): void {
  const outer = new DerReader(value);
  const { bytes } = outer.bitString('keyUsage');
  outer.finish('keyUsage');
  const names = KEY_USAGES.filter((_name, bit) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0);
  found.keyUsage = { critical, names: new Set(names) };
}

function readExtKeyUsage(value: Buffer, found: Found): void {
  const outer = new DerReader(value);
  const reader = outer.sequence('extKeyUsage');
  outer.finish('extKeyUsage');
  const purposes: string[] = [];
  do {
    purposes.push(reader.oid('extKeyUsage'));
  } while (!reader.atEnd);
  found.extKeyUsage = purposes;
}

/** RFC 5280 4.2.1.1. Only the key identifier is a use; issuer and serial number name a certificate that may be renewed. */
function readAuthorityKeyId(value: Buffer, found: Found): void {
  const outer = new DerReader(value);
  const reader = outer.sequence('authorityKeyIdentifier');
  outer.finish('authorityKeyIdentifier');
  found.authorityKeyId = reader.optional(contextPrimitive(0), 'authorityKeyIdentifier keyIdentifier');
  reader.optional(contextConstructed(1), 'authorityKeyIdentifier authorityCertIssuer');
  reader.optional(contextPrimitive(2), 'authorityKeyIdentifier authorityCertSerialNumber');
  reader.finish('authorityKeyIdentifier');
}

/**
 * RFC 5280 4.2.1.4: policies only matter to whoever demands one, which nobody does here, so only their form is judged:
 * what is critical and cannot be interpreted must not pass.
 */
function checkPolicies(value: Buffer): void {
  const outer = new DerReader(value);
  const reader = outer.sequence('certificatePolicies');
  outer.finish('certificatePolicies');
  const seen = new Set<string>();
  do {
    const policy = reader.sequence('certificate policy');
    const oid = policy.oid('certificate policy');
    policy.optional(TAG.sequence, 'qualifiers of a certificate policy');
    policy.finish('certificate policy');
    if (seen.has(oid)) throw new SpiffeError('invalid-der', `certificate policy ${oid} is there twice`);
    seen.add(oid);
  } while (!reader.atEnd);
}
