import { SpiffeError } from '../error.ts';
import { contextConstructed, contextPrimitive } from './der.ts';
import { isAscii } from './der-string.ts';
import { bitString, boolean, encode, integer, objectIdentifier, octetString, sequence, time } from './der-writer.ts';
import { type Extension, KEY_USAGES, type KeyUsageName } from './extensions.ts';
import { EMPTY_NAME } from './name.ts';
import { OID } from './oid.ts';

/** Everything a certificate will say, but for who signs it. Made and signed by the functions of profile.ts. */
export interface CertificateTemplate {
  /** 1 to 2^128 - 1, random. */
  readonly serialNumber: bigint;
  /** DER of the Name. */
  readonly subject: Buffer;
  /** Unix milliseconds; a certificate keeps whole seconds only. */
  readonly notBefore: number;
  /** Unix milliseconds. */
  readonly notAfter: number;
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Buffer;
  readonly subjectKeyId: Buffer;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly isCa: boolean;
  readonly keyUsage: readonly KeyUsageName[];
  /** Dotted object identifiers; no extension when empty. */
  readonly extKeyUsage: readonly string[];
  /** More extensions, at the end; one that is written anyway is replaced by the one here. */
  readonly extraExtensions?: readonly Extension[];
}

/** What a certificate says about its issuer. */
export interface IssuerFields {
  /** DER of the Name of the issuer's certificate. */
  readonly subject: Buffer;
  /** Of the issuer's certificate; when undefined, there is no authority key identifier. */
  readonly subjectKeyId: Buffer | undefined;
}

const VERSION_3 = encode(contextConstructed(0), integer(2));

/**
 * The tbsCertificate (RFC 5280 4.1.2), which is what gets signed.
 *
 * @param identifier DER of the AlgorithmIdentifier of the signature to come
 * @throws SpiffeError `invalid-certificate` for alternative names that X.509 cannot hold
 */
export function encodeTbs(template: CertificateTemplate, issuer: IssuerFields, identifier: Buffer): Buffer {
  return sequence(
    VERSION_3,
    integer(template.serialNumber),
    identifier,
    issuer.subject,
    sequence(time(template.notBefore), time(template.notAfter)),
    template.subject,
    template.publicKey,
    encode(contextConstructed(3), sequence(...encodeExtensions(template, issuer))),
  );
}

/** In the reference's order. Those that never change from one X509-SVID to the next are written once. */
function encodeExtensions(template: CertificateTemplate, issuer: IssuerFields): Buffer[] {
  const extra = template.extraExtensions ?? [];
  const written: [oid: string, der: Buffer][] = [[OID.keyUsage, keyUsageExtension(template.keyUsage)]];
  if (template.extKeyUsage.length > 0) written.push([OID.extKeyUsage, extKeyUsageExtension(template.extKeyUsage)]);
  written.push([OID.basicConstraints, template.isCa ? IS_CA : IS_NOT_CA]);
  const keyId = octetString(template.subjectKeyId);
  written.push([OID.subjectKeyIdentifier, encodeExtension(OID.subjectKeyIdentifier, false, keyId)]);
  if (issuer.subjectKeyId !== undefined) {
    const authority = sequence(encode(contextPrimitive(0), issuer.subjectKeyId));
    written.push([OID.authorityKeyIdentifier, encodeExtension(OID.authorityKeyIdentifier, false, authority)]);
  }
  if (template.uris.length > 0 || template.dnsNames.length > 0) {
    // RFC 5280 4.1.2.6: the only name that a certificate has must be understood.
    const critical = template.subject.equals(EMPTY_NAME);
    const names = encodeAltNames(template.uris, template.dnsNames);
    written.push([OID.subjectAltName, encodeExtension(OID.subjectAltName, critical, names)]);
  }
  return [
    ...written.filter(([oid]) => !extra.some((one) => one.oid === oid)).map(([, der]) => der),
    ...extra.map(({ oid, critical, value }) => encodeExtension(oid, critical, value)),
  ];
}

const oids = new Map<string, Buffer>(Object.values(OID).map((dotted) => [dotted, objectIdentifier(dotted)]));

/** One Extension; `value` is the DER of the extension's own type. */
export function encodeExtension(oid: string, critical: boolean, value: Uint8Array): Buffer {
  const id = oids.get(oid) ?? objectIdentifier(oid);
  // X.690 11.5: a default, here FALSE, is not written.
  return critical ? sequence(id, TRUE, octetString(value)) : sequence(id, octetString(value));
}

const TRUE = boolean(true);
const IS_CA = encodeExtension(OID.basicConstraints, true, sequence(TRUE));
const IS_NOT_CA = encodeExtension(OID.basicConstraints, true, sequence());

/** Extensions by the list that they hold; the profiles share a few lists. */
const keyUsages = new WeakMap<readonly KeyUsageName[], Buffer>();
const extKeyUsages = new WeakMap<readonly string[], Buffer>();

function keyUsageExtension(names: readonly KeyUsageName[]): Buffer {
  return remember(keyUsages, names, () => encodeExtension(OID.keyUsage, true, encodeKeyUsage(names)));
}

function extKeyUsageExtension(purposes: readonly string[]): Buffer {
  return remember(extKeyUsages, purposes, () =>
    encodeExtension(OID.extKeyUsage, false, sequence(...purposes.map((oid) => objectIdentifier(oid)))),
  );
}

function remember<K extends object>(memory: WeakMap<K, Buffer>, key: K, make: () => Buffer): Buffer {
  const known = memory.get(key);
  if (known !== undefined) return known;
  const made = make();
  memory.set(key, made);
  return made;
}

/** A BIT STRING without trailing zero bits (X.690 11.2.2). */
function encodeKeyUsage(names: readonly KeyUsageName[]): Buffer {
  const bits = names.map((name) => KEY_USAGES.indexOf(name));
  const count = Math.max(-1, ...bits) + 1;
  const bytes = Buffer.alloc(Math.ceil(count / 8));
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return bitString(bytes, bytes.length * 8 - count);
}

/** GeneralNames (RFC 5280 4.2.1.6) in the reference's order, DNS names first. */
export function encodeAltNames(uris: readonly string[], dnsNames: readonly string[]): Buffer {
  return sequence(
    ...dnsNames.map((name) => encode(contextPrimitive(2), ia5(name))),
    ...uris.map((uri) => encode(contextPrimitive(6), ia5(uri))),
  );
}

function ia5(text: string): Buffer {
  if (!isAscii(text)) throw new SpiffeError('invalid-certificate', 'alternative name has characters beyond ASCII');
  return Buffer.from(text, 'latin1');
}
