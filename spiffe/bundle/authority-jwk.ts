import type { KeyObject } from 'node:crypto';
import { SpiffeError } from '../error.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../json.ts';
import { parseCertificate } from '../x509/certificate.ts';
import type { JwtAuthority, X509Authority } from './bundle.ts';
import { isPrivateJwk, jwkOfKey, keyFromSpki, keyOfJwk, spkiOf } from './jwk.ts';

/** What an authority is for (Trust Domain and Bundle 4.2.2); case counts. */
export type KeyUse = 'x509-svid' | 'jwt-svid' | 'wit-svid';

/** A JWK as written: members in the order of this type, absent ones left out. */
export interface AuthorityJwk {
  readonly use?: KeyUse;
  readonly kty: string;
  readonly kid?: string;
  readonly crv?: string;
  readonly x?: string;
  readonly y?: string;
  readonly n?: string;
  readonly e?: string;
  readonly x5c?: readonly string[];
}

/** Why a key of a document cannot serve as an authority. */
export interface Unusable {
  readonly unusable: string;
}

const MAX_KEY_ID_LENGTH = 1024;

/**
 * The JWK of an X.509 authority (X509-SVID 6.1); undefined when its key is of a kind that JWKs do not know.
 *
 * @throws SpiffeError when the certificate is malformed
 */
export function x509AuthorityJwk({ certificate }: X509Authority): AuthorityJwk | undefined {
  const jwk = jwkOfKey(keyFromSpki(parseCertificate(certificate).publicKey));
  return jwk === undefined ? undefined : { use: 'x509-svid', ...jwk, x5c: [certificate.toString('base64')] };
}

/**
 * The JWK of a JWT authority without its use; undefined when its key is of a kind that JWS does not use.
 *
 * @throws SpiffeError `invalid-key`
 */
export function jwtAuthorityJwk({ publicKey, keyId }: JwtAuthority): AuthorityJwk | undefined {
  const jwk = jwkOfKey(keyFromSpki(publicKey));
  if (jwk === undefined || !isJwsKeyType(jwk.kty)) return undefined;
  const { kty, ...rest } = jwk;
  return { kty, kid: keyId, ...rest };
}

/** @throws SpiffeError `invalid-bundle` when the JWK holds private members */
export function readX509Authority(jwk: JsonObject<bigint>): X509Authority | Unusable {
  const key = readKey(jwk);
  if ('unusable' in key) return key;
  // X509-SVID 6.2: the first certificate counts, more are passed over, none makes the key unusable.
  const [first] = Array.isArray(jwk['x5c']) ? (jwk['x5c'] as readonly JsonValue<bigint>[]) : [];
  if (typeof first !== 'string') return { unusable: 'x5c is missing or empty' };
  const certificate = Buffer.from(first, 'base64');
  if (certificate.toString('base64') !== first) return { unusable: 'x5c is not base64' };
  return problemOf(certificate, key) ?? { certificate, tainted: false };
}

function problemOf(der: Buffer, key: KeyObject): Unusable | undefined {
  try {
    const certificate = parseCertificate(der);
    if (certificate.isCa !== true) return { unusable: 'the certificate is not of a CA' };
    return keyFromSpki(certificate.publicKey).equals(key) ? undefined : { unusable: 'the certificate has another key' };
  } catch (error) {
    if (error instanceof SpiffeError) return { unusable: 'x5c is not a certificate' };
    throw error;
  }
}

/**
 * An authority of JWT-SVIDs or WIT-SVIDs (JWT-SVID 6.1). A JWK does not say when its key expires.
 *
 * @throws SpiffeError `invalid-bundle` when the JWK holds private members
 */
export function readJwtAuthority(jwk: JsonObject<bigint>): JwtAuthority | Unusable {
  const key = readKey(jwk);
  if ('unusable' in key) return key;
  const { kty, kid } = jwk;
  if (!isJwsKeyType(kty)) return { unusable: 'no token is signed with a key of this kty' };
  if (typeof kid !== 'string' || kid === '') return { unusable: 'no kid' };
  if (kid.length > MAX_KEY_ID_LENGTH) return { unusable: 'kid is too long' };
  return { publicKey: spkiOf(key), keyId: kid, expiresAt: 0, tainted: false };
}

/** JWT-SVID 2.1, WIT-SVID 2.1: ES, RS and PS. An Ed25519 key can be the key of an X.509 authority only. */
function isJwsKeyType(kty: JsonValue<bigint> | undefined): boolean {
  return kty === 'EC' || kty === 'RSA';
}

function readKey(jwk: JsonObject<bigint>): KeyObject | Unusable {
  // Not skipped in silence: its owner has to hear of it.
  if (isPrivateJwk(jwk)) throw new SpiffeError('invalid-bundle', 'bundle holds the private part of a key');
  return keyOfJwk(jwk);
}

/** The use of a key of a document; undefined when there is none, or one that nobody here knows. */
export function useOf(jwk: JsonValue<bigint>): KeyUse | undefined {
  if (!isJsonObject(jwk)) return undefined;
  const { use } = jwk;
  return use === 'x509-svid' || use === 'jwt-svid' || use === 'wit-svid' ? use : undefined;
}
