import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { SpiffeError } from '../error.ts';
import type { SignatureAlgorithm } from '../signer.ts';
import { readAlgorithmIdentifier } from './algorithm-identifier.ts';
import { DerReader, TAG } from './der.ts';
import { bitString, objectIdentifier, sequence } from './der-writer.ts';
import { OID } from './oid.ts';

/** What a SubjectPublicKeyInfo holds, for the kinds of keys that X509-SVIDs may use here. */
export type PublicKey =
  | { readonly kind: 'ec'; readonly curve: Curve; readonly x: Buffer; readonly y: Buffer }
  | { readonly kind: 'rsa'; readonly bits: number; readonly modulus: Buffer; readonly exponent: Buffer }
  | { readonly kind: 'ed25519'; readonly point: Buffer };

type Curve = 'P-256' | 'P-384' | 'P-521';

interface CurveRow {
  readonly oid: string;
  readonly curve: Curve;
  /** Bytes of one coordinate. */
  readonly size: number;
  /** With which a CA of this key signs. */
  readonly signs: SignatureAlgorithm;
}

const CURVES: readonly CurveRow[] = [
  { oid: OID.p256, curve: 'P-256', size: 32, signs: 'ecdsa-sha256' },
  { oid: OID.p384, curve: 'P-384', size: 48, signs: 'ecdsa-sha384' },
  { oid: OID.p521, curve: 'P-521', size: 66, signs: 'ecdsa-sha512' },
];

/** Below, RSA is within reach of an attacker (NIST SP 800-131A); above, one check costs a peer too little and us too much. */
const RSA_BITS = { least: 2048, most: 8192 };

/** 2^31 - 1, as in the reference; OpenSSL takes ten times as long and more for one as large as the modulus. */
const MOST_RSA_EXPONENT = 0x7f_ff_ff_ff;

/**
 * The next element of `reader`, which must have the form of a SubjectPublicKeyInfo; of which kind the key is, and whether
 * it is a good one, is not asked.
 *
 * @throws SpiffeError `invalid-der`
 */
export function readPublicKeyInfo(reader: DerReader): Buffer {
  const der = reader.whole(TAG.sequence, 'subjectPublicKeyInfo');
  const info = new DerReader(der).sequence('subjectPublicKeyInfo');
  readAlgorithmIdentifier(info, 'public key algorithm');
  info.bitString('public key');
  info.finish('subjectPublicKeyInfo');
  return der;
}

/**
 * Reads the DER of a SubjectPublicKeyInfo (RFC 5280 4.1.2.7). Whether an EC point is on its curve is not checked here,
 * but by `importPublicKey`.
 *
 * @throws SpiffeError `invalid-key` for malformed keys and kinds of keys that are not supported
 */
export function parsePublicKey(spki: Buffer): PublicKey {
  try {
    const outer = new DerReader(spki);
    const info = outer.sequence('public key');
    outer.finish('public key');
    const algorithm = info.sequence('public key algorithm');
    const oid = algorithm.oid('public key algorithm');
    const bytes = info.bitStringBytes('public key');
    info.finish('public key');
    return parseByAlgorithm(oid, algorithm, bytes);
  } catch (error) {
    if (error instanceof SpiffeError && error.code === 'invalid-der') {
      throw new SpiffeError('invalid-key', error.message, { cause: error });
    }
    throw error;
  }
}

function parseByAlgorithm(oid: string, algorithm: DerReader, bytes: Buffer): PublicKey {
  switch (oid) {
    case OID.ecPublicKey: {
      const curve = algorithm.oid('curve');
      algorithm.finish('public key algorithm');
      return parsePoint(curve, bytes);
    }
    case OID.rsaEncryption:
      // RFC 3279 2.3.1: the parameters are NULL.
      if (algorithm.content(TAG.null, 'public key parameters').length !== 0) {
        throw new SpiffeError('invalid-key', 'public key parameters are malformed');
      }
      algorithm.finish('public key algorithm');
      return parseRsa(bytes);
    case OID.ed25519:
      algorithm.finish('public key algorithm');
      if (bytes.length !== 32) throw new SpiffeError('invalid-key', 'Ed25519 public key is not 32 bytes long');
      return { kind: 'ed25519', point: bytes };
    default:
      throw new SpiffeError('invalid-key', 'public key is of an unsupported kind');
  }
}

function parsePoint(oid: string, bytes: Buffer): PublicKey {
  const row = CURVES.find((row) => row.oid === oid);
  if (row === undefined) throw new SpiffeError('invalid-key', 'public key is on an unsupported curve');
  // RFC 5480 2.2: 04 and both coordinates. Nobody uses the compressed forms in certificates.
  if (bytes[0] !== 0x04 || bytes.length !== 1 + 2 * row.size) {
    throw new SpiffeError('invalid-key', 'public key is not an uncompressed point of its curve');
  }
  const middle = 1 + row.size;
  return { kind: 'ec', curve: row.curve, x: bytes.subarray(1, middle), y: bytes.subarray(middle) };
}

function parseRsa(bytes: Buffer): PublicKey {
  const outer = new DerReader(bytes);
  const key = outer.sequence('RSA public key');
  outer.finish('RSA public key');
  const modulus = positiveInteger(key, 'RSA modulus');
  const exponent = positiveInteger(key, 'RSA exponent');
  key.finish('RSA public key');
  return { kind: 'rsa', bits: modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24, modulus, exponent };
}

/** The magnitude of a positive INTEGER, without its sign byte. */
function positiveInteger(reader: DerReader, what: string): Buffer {
  const content = reader.integerContent(what);
  const [first = 0] = content;
  if (first > 0x7f || (first === 0 && content.length === 1)) {
    throw new SpiffeError('invalid-key', `${what} is not positive`);
  }
  return first === 0 ? content.subarray(1) : content;
}

/**
 * Refuses keys too weak to trust, and RSA keys whose modulus or exponent is so large that checking their signatures is
 * an attack.
 *
 * @throws SpiffeError `invalid-key`
 */
export function checkStrength(key: PublicKey): void {
  if (key.kind !== 'rsa') return;
  if (key.bits < RSA_BITS.least) {
    throw new SpiffeError('invalid-key', `RSA key of ${key.bits} bits is shorter than ${RSA_BITS.least} bits`);
  }
  if (key.bits > RSA_BITS.most) {
    throw new SpiffeError('invalid-key', `RSA key of ${key.bits} bits is longer than ${RSA_BITS.most} bits`);
  }
  const { exponent } = key;
  const value = exponent.length > 4 ? Number.POSITIVE_INFINITY : exponent.readUIntBE(0, exponent.length);
  // RFC 8017 3.1: an odd number from 3 on.
  if (value < 3 || value % 2 === 0) throw new SpiffeError('invalid-key', 'RSA exponent is not an odd number above 1');
  if (value > MOST_RSA_EXPONENT) throw new SpiffeError('invalid-key', 'RSA exponent is longer than 31 bits');
}

/**
 * The key in the form that node:crypto verifies with.
 *
 * @throws SpiffeError `invalid-key` also for a point that is not on its curve
 */
export function importPublicKey(key: PublicKey): KeyObject {
  try {
    if (key.kind === 'ec' && TEXT_IS_CHEAPEST) return createPublicKey(pemOf(key));
    return createPublicKey({ key: jwkOf(key), format: 'jwk' });
  } catch (error) {
    throw new SpiffeError('invalid-key', 'public key is not valid', { cause: error });
  }
}

/**
 * Measured for P-256: with OpenSSL 3.0 (Node.js 20) 48 us as a JWK, 92 us as DER and as PEM; with 3.5 (Node.js 24) 33 us as
 * a JWK, 30 us as DER and 13 us as PEM, since Node.js 24 throws and catches two errors before it looks into an object.
 */
const TEXT_IS_CHEAPEST = isAtLeast(process.versions.openssl, 3, 5);

function isAtLeast(version: string, major: number, minor: number): boolean {
  const [ours = 0, oursMinor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return ours > major || (ours === major && oursMinor >= minor);
}

/** What precedes the coordinates in the SubjectPublicKeyInfo of a key on each curve (RFC 5480 2). */
const POINT_PREFIXES = new Map<Curve, Buffer>(
  CURVES.map(({ curve, oid, size }) => {
    const algorithm = sequence(objectIdentifier(OID.ecPublicKey), objectIdentifier(oid));
    const whole = sequence(algorithm, bitString(Buffer.alloc(1 + 2 * size, 0x04)));
    return [curve, whole.subarray(0, whole.length - 2 * size)];
  }),
);

function pemOf({ curve, x, y }: PublicKey & { readonly kind: 'ec' }): string {
  const info = Buffer.concat([POINT_PREFIXES.get(curve) ?? Buffer.of(), x, y]);
  return `-----BEGIN PUBLIC KEY-----\n${info.toString('base64')}\n-----END PUBLIC KEY-----\n`;
}

function jwkOf(key: PublicKey): JsonWebKey {
  const text = (bytes: Buffer): string => bytes.toString('base64url');
  switch (key.kind) {
    case 'ec':
      return { kty: 'EC', crv: key.curve, x: text(key.x), y: text(key.y) };
    case 'rsa':
      return { kty: 'RSA', n: text(key.modulus), e: text(key.exponent) };
    case 'ed25519':
      return { kty: 'OKP', crv: 'Ed25519', x: text(key.point) };
  }
}

/**
 * The algorithm with which a CA of this key signs certificates, as the reference chooses it.
 *
 * @throws SpiffeError `invalid-key` for keys that our CAs do not use
 */
export function signingAlgorithmOf(key: PublicKey): SignatureAlgorithm {
  if (key.kind === 'rsa') return 'rsa-pkcs1-sha256';
  const row = key.kind === 'ec' ? CURVES.find(({ curve }) => curve === key.curve) : undefined;
  if (row === undefined) throw new SpiffeError('invalid-key', 'no signature algorithm for this kind of key');
  return row.signs;
}
