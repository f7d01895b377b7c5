import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { SpiffeError } from '../error.ts';
import { type JsonObject, type JsonValue } from '../json.ts';

/** A public key as the members of a JWK (RFC 7517), in the order in which they are written. */
export type PublicJwk =
  | { readonly kty: 'EC'; readonly crv: string; readonly x: string; readonly y: string }
  | { readonly kty: 'RSA'; readonly n: string; readonly e: string };

/** The curves of the JWS algorithms that SPIFFE allows (JWT-SVID 2.1). */
const CURVES: ReadonlySet<string> = new Set(['P-256', 'P-384', 'P-521']);

/** Members that only a private key has (RFC 7518 6.2.2, 6.3.2). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth'];

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

/** The JWK of a key; undefined when its kind is not one that SPIFFE's JWS algorithms use. */
export function jwkOfKey(key: KeyObject): PublicJwk | undefined {
  if (key.asymmetricKeyType !== 'ec' && key.asymmetricKeyType !== 'rsa') return undefined;
  const { kty, crv, x, y, n, e } = exportJwk(key);
  if (kty === 'EC' && crv !== undefined && CURVES.has(crv) && x !== undefined && y !== undefined) {
    return { kty, crv, x, y };
  }
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

/** The key of a JWK, or why the JWK cannot be used. */
export function keyOfJwk(jwk: JsonObject<bigint>): KeyObject | { readonly unusable: string } {
  const members = publicMembers(jwk);
  if (members === undefined) return { unusable: 'unsupported kty or curve, or a key member is missing' };
  try {
    return createPublicKey({ key: { ...members }, format: 'jwk' });
  } catch {
    return { unusable: 'the key is malformed' };
  }
}

function publicMembers({ kty, crv, x, y, n, e }: JsonObject<bigint>): PublicJwk | undefined {
  if (kty === 'EC' && isCurve(crv) && isBase64Url(x) && isBase64Url(y)) return { kty, crv, x, y };
  if (kty === 'RSA' && isBase64Url(n) && isBase64Url(e)) return { kty, n, e };
  return undefined;
}

function isCurve(crv: JsonValue<bigint> | undefined): crv is string {
  return typeof crv === 'string' && CURVES.has(crv);
}

function isBase64Url(value: JsonValue<bigint> | undefined): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_-]+$/.test(value);
}

/** Whether the JWK of an asymmetric key holds private parts, which never belong into a bundle. */
export function isPrivateJwk(jwk: JsonObject<bigint>): boolean {
  return (jwk['kty'] === 'EC' || jwk['kty'] === 'RSA') && PRIVATE_MEMBERS.some((name) => name in jwk);
}
