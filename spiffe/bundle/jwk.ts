import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { SpiffeError } from '../error.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { checkStrength, parsePublicKey } from '../x509/public-key.ts';

/** A public key as the members of a JWK (RFC 7517), in the order in which they are written. */
export type PublicJwk =
  | { readonly kty: 'EC'; readonly crv: string; readonly x: string; readonly y: string }
  | { readonly kty: 'OKP'; readonly crv: 'Ed25519'; readonly x: string }
  | { readonly kty: 'RSA'; readonly n: string; readonly e: string };

/** The curves of the JWS algorithms that SPIFFE allows (JWT-SVID 2.1), with the bytes of a coordinate. */
const CURVES: ReadonlyMap<string, number> = new Map([
  ['P-256', 32],
  ['P-384', 48],
  ['P-521', 66],
]);

/** Members that hold secrets (RFC 7518 6.2.2, 6.3.2, 6.4.1; RFC 8037 2; `priv` of the kind AKP). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];

/** Kinds of asymmetric keys; in a kind that nobody knows, a member of such a name may mean anything. */
const ASYMMETRIC: ReadonlySet<unknown> = new Set(['EC', 'RSA', 'OKP', 'AKP']);

/**
 * A key from its SubjectPublicKeyInfo.
 *
 * @throws SpiffeError `invalid-key`
 */
export function keyFromSpki(spki: Buffer): KeyObject {
  try {
    return createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch (cause) {
    throw new SpiffeError('invalid-key', 'public key is malformed', { cause });
  }
}

/** DER of the SubjectPublicKeyInfo. */
export function spkiOf(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' });
}

/** The JWK of a key; undefined when its kind is not one that bundles know. */
export function jwkOfKey(key: KeyObject): PublicJwk | undefined {
  if (key.asymmetricKeyType === undefined || !['ec', 'rsa', 'ed25519'].includes(key.asymmetricKeyType)) {
    return undefined;
  }
  const { kty, crv, x, y, n, e } = exportJwk(key);
  if (kty === 'EC' && crv !== undefined && CURVES.has(crv) && x !== undefined && y !== undefined) {
    return { kty, crv, x, y };
  }
  if (kty === 'OKP' && crv === 'Ed25519' && x !== undefined) return { kty, crv, x };
  if (kty === 'RSA' && n !== undefined && e !== undefined) return { kty, n, e };
  return undefined;
}

function exportJwk(key: KeyObject): JsonWebKey {
  try {
    return key.export({ format: 'jwk' });
  } catch {
    return {}; // a curve that JWK has no name for
  }
}

/** The key of a JWK, or why the JWK cannot be used. Only keys that something may be verified with are taken. */
export function keyOfJwk(jwk: JsonObject<bigint>): KeyObject | { readonly unusable: string } {
  const members = publicMembers(jwk);
  if (members === undefined) return { unusable: 'unsupported kty or curve, or a key member is missing or malformed' };
  try {
    const key = createPublicKey({ key: { ...members }, format: 'jwk' });
    return weaknessOf(key) ?? key;
  } catch {
    return { unusable: 'the key is malformed' }; // a point that is not on its curve
  }
}

function publicMembers({ kty, crv, x, y, n, e }: JsonObject<bigint>): PublicJwk | undefined {
  const size = typeof crv === 'string' ? CURVES.get(crv) : undefined;
  if (kty === 'EC' && typeof crv === 'string' && size !== undefined) {
    // RFC 7518 6.2.1.2: all octets of a coordinate, leading zeros too.
    return isBase64Url(x, size) && isBase64Url(y, size) ? { kty, crv, x, y } : undefined;
  }
  if (kty === 'OKP' && crv === 'Ed25519' && isBase64Url(x, 32)) return { kty, crv, x };
  // Leading zeros of a modulus are against RFC 7518 2 and common all the same; the number is the same without them.
  if (kty === 'RSA' && isBase64Url(n) && isBase64Url(e)) return { kty, n, e };
  return undefined;
}

/** Whether a value is base64url without padding and stray bits (RFC 7515 2), of so many bytes if a size is given. */
function isBase64Url(value: JsonValue<bigint> | undefined, size?: number): value is string {
  if (typeof value !== 'string' || value === '') return false;
  const bytes = Buffer.from(value, 'base64url');
  return bytes.toString('base64url') === value && (size === undefined || bytes.length === size);
}

/** Far above every exponent in use, and the largest that the reference verifies with. */
const MAX_EXPONENT = 2n ** 31n - 1n;

/**
 * Why nothing may be verified with a key that is well-formed. OpenSSL takes any two numbers for an RSA key; with an
 * exponent of 1 everybody can sign, one that is even belongs to no private key (RFC 8017 3.1), and with a huge one every
 * check costs as much as a signature.
 */
function weaknessOf(key: KeyObject): { readonly unusable: string } | undefined {
  if (key.asymmetricKeyType !== 'rsa') return undefined;
  const { publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  if (publicExponent < 3n || publicExponent > MAX_EXPONENT || publicExponent % 2n === 0n) {
    return { unusable: 'the RSA exponent is not an odd number from 3 to 2^31' };
  }
  try {
    checkStrength(parsePublicKey(spkiOf(key)));
    return undefined;
  } catch (error) {
    if (error instanceof SpiffeError) return { unusable: error.message };
    throw error;
  }
}

/** Whether the JWK of an asymmetric key holds secrets, which never belong into a bundle. */
export function isPrivateJwk(jwk: JsonObject<bigint>): boolean {
  return ASYMMETRIC.has(jwk['kty']) && PRIVATE_MEMBERS.some((name) => name in jwk);
}
