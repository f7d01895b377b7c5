import type { KeyObject } from 'node:crypto';
import { SpiffeError } from '../error.ts';
import { parseSpiffeId, type SpiffeId } from '../id.ts';
import { readAlgorithmIdentifier } from './algorithm-identifier.ts';
import { contextConstructed, contextPrimitive, DerReader, TAG } from './der.ts';
import { NO_EXTENSIONS, type ReadExtensions, readExtensions } from './extensions.ts';
import { parseName } from './name.ts';
import { importPublicKey, parsePublicKey, readPublicKeyInfo } from './public-key.ts';
import { type SignatureScheme, schemeOf, verifySignature } from './signature.ts';

/** An X.509 certificate (RFC 5280 4.1), read strictly. All Buffers are views of `der`. */
export interface Certificate extends ReadExtensions {
  readonly der: Buffer;
  /** What the signature is over. */
  readonly tbs: Buffer;
  /** 1 to 3; only version 3 has extensions. */
  readonly version: number;
  readonly serialNumber: bigint;
  /** DER of the Name. */
  readonly issuer: Buffer;
  /** DER of the Name. */
  readonly subject: Buffer;
  /** Unix milliseconds, inclusive. */
  readonly notBefore: number;
  /** Unix milliseconds, inclusive. */
  readonly notAfter: number;
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Buffer;
  /** Undefined for algorithms that nobody may rely on (SHA-1, MD5) or that are not known here. */
  readonly signatureAlgorithm: SignatureScheme | undefined;
  readonly signature: Buffer;
}

/** RFC 5280 4.1.2.2 allows 20 bytes. Some CAs forget to count the sign byte, which harms nobody. */
const MAX_SERIAL_BYTES = 21;

/**
 * Reads one certificate with nothing after it.
 *
 * @throws SpiffeError `invalid-certificate` that names the part and the rule
 */
export function parseCertificate(der: Buffer): Certificate {
  return reading(() => {
    const outer = new DerReader(der);
    const certificate = readCertificate(outer.whole(TAG.sequence, 'certificate'));
    outer.finish('certificate');
    return certificate;
  });
}

/**
 * Reads certificates that follow each other without a gap, as the Workload API sends them. No bytes are no certificates.
 *
 * @throws SpiffeError `invalid-certificate`
 */
export function parseCertificates(ders: Buffer): Certificate[] {
  return splitCertificates(ders).map(parseCertificate);
}

/**
 * Cuts concatenated DER certificates apart without looking into them.
 *
 * @throws SpiffeError `invalid-certificate`
 */
export function splitCertificates(ders: Buffer): Buffer[] {
  return reading(() => {
    const found: Buffer[] = [];
    for (const reader = new DerReader(ders); !reader.atEnd; ) found.push(reader.whole(TAG.sequence, 'certificate'));
    return found;
  });
}

function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SpiffeError) || error.code !== 'invalid-der') throw error;
    throw new SpiffeError('invalid-certificate', `malformed certificate: ${error.message}`, { cause: error });
  }
}

function readCertificate(der: Buffer): Certificate {
  const outer = new DerReader(der).sequence('certificate');
  const tbs = outer.whole(TAG.sequence, 'tbsCertificate');
  const algorithm = readAlgorithmIdentifier(outer, 'signatureAlgorithm');
  const signature = outer.bitStringBytes('signature');
  outer.finish('certificate');

  const reader = new DerReader(tbs).sequence('tbsCertificate');
  const version = readVersion(reader);
  const serialNumber = readSerialNumber(reader);
  // RFC 5280 4.1.1.2: both name the same algorithm, or the outer one, which nobody signed, could be swapped.
  if (!reader.whole(TAG.sequence, 'tbsCertificate signature').equals(algorithm)) {
    throw new SpiffeError('invalid-der', 'the two signature algorithms differ');
  }
  const issuer = readName(reader, 'issuer');
  const validity = reader.sequence('validity');
  const notBefore = validity.time('notBefore');
  const notAfter = validity.time('notAfter');
  validity.finish('validity');
  const subject = readName(reader, 'subject');
  const publicKey = readPublicKeyInfo(reader);
  const extensions = readTail(reader, version);
  return {
    ...extensions,
    der,
    tbs,
    version,
    serialNumber,
    issuer,
    subject,
    notBefore,
    notAfter,
    publicKey,
    signatureAlgorithm: schemeOf(algorithm),
    signature,
  };
}

function readVersion(reader: DerReader): number {
  if (reader.peek() !== contextConstructed(0)) return 1;
  const explicit = reader.enter(contextConstructed(0), 'version');
  const version = explicit.smallInteger('version');
  explicit.finish('version');
  // 0, which means version 1, is the default and so is never written (X.690 11.5).
  if (version < 1 || version > 2) throw new SpiffeError('invalid-der', 'version is not one of 1 to 3');
  return version + 1;
}

function readSerialNumber(reader: DerReader): bigint {
  const content = reader.integerContent('serialNumber');
  if ((content[0] ?? 0) > 0x7f) throw new SpiffeError('invalid-der', 'serialNumber is negative');
  if (content.length > MAX_SERIAL_BYTES) throw new SpiffeError('invalid-der', 'serialNumber is too long');
  return BigInt(`0x${content.toString('hex')}`);
}

function readName(reader: DerReader, what: string): Buffer {
  const der = reader.whole(TAG.sequence, what);
  parseName(der);
  return der;
}

/** The unique identifiers, which nobody uses, and the extensions. */
function readTail(reader: DerReader, version: number): ReadExtensions {
  if (version >= 2) {
    if (reader.peek() === contextPrimitive(1)) reader.bitString('issuerUniqueID', contextPrimitive(1));
    if (reader.peek() === contextPrimitive(2)) reader.bitString('subjectUniqueID', contextPrimitive(2));
  }
  if (version < 3 || reader.atEnd) {
    reader.finish('tbsCertificate');
    return NO_EXTENSIONS;
  }
  const explicit = reader.enter(contextConstructed(3), 'extensions');
  reader.finish('tbsCertificate');
  const extensions = readExtensions(explicit.sequence('extensions'));
  explicit.finish('extensions');
  return extensions;
}

/**
 * The identity in an X509-SVID: the one URI in its subject alternative name (X509-SVID 2), read from its raw bytes.
 *
 * @throws SpiffeError `invalid-x509-svid` when there is none, more than one, or it is not a SPIFFE ID
 */
export function spiffeIdOf(certificate: Certificate): SpiffeId {
  const [uri, ...others] = certificate.uris;
  if (uri === undefined) throw new SpiffeError('invalid-x509-svid', 'certificate contains no URI SAN');
  if (others.length > 0) throw new SpiffeError('invalid-x509-svid', 'certificate contains more than one URI SAN');
  try {
    return parseSpiffeId(uri);
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    const message = `certificate contains an invalid URI SAN: ${error.message}`;
    throw new SpiffeError('invalid-x509-svid', message, { cause: error });
  }
}

/** Imported keys by certificate: an import costs as much as a signature check, and authorities are used again and again. */
const keys = new WeakMap<Certificate, KeyObject>();

/**
 * The certificate's key, ready to verify with.
 *
 * @throws SpiffeError `invalid-key` for malformed and unsupported keys, also for a point that is not on its curve
 */
export function keyOf(certificate: Certificate): KeyObject {
  const cached = keys.get(certificate);
  if (cached !== undefined) return cached;
  const key = importPublicKey(parsePublicKey(certificate.publicKey));
  keys.set(certificate, key);
  return key;
}

/**
 * Whether the key of `issuer` made the signature on `child`. Says nothing about names, validity or the right to sign.
 * Signatures by weak or unknown algorithms and by unsupported keys are not right ones.
 */
export function isSignedBy(child: Certificate, issuer: Certificate): boolean {
  const scheme = child.signatureAlgorithm;
  if (scheme === undefined) return false;
  try {
    if (parsePublicKey(issuer.publicKey).kind !== scheme.kind) return false;
    return verifySignature(scheme, keyOf(issuer), child.tbs, child.signature);
  } catch (error) {
    if (error instanceof SpiffeError && error.code === 'invalid-key') return false;
    throw error;
  }
}
