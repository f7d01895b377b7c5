import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { isPrivateJwk, jwkOfKey, keyOfJwk } from '../bundle/jwk.ts';
import { SpiffeError } from '../error.ts';
import { isJsonObject, JsonError, type JsonLimits, type JsonObject, type JsonValue, readJson } from '../json.ts';
import { fitsAlgorithm, isJwsAlgorithm, type JwsAlgorithm } from '../jwt/algorithm.ts';

/** The public key that a WIT-SVID is bound to, and the one algorithm that proofs by it use (WIT-SVID 3.2). */
export interface ConfirmationKey {
  readonly key: KeyObject;
  readonly algorithm: JwsAlgorithm;
}

/** The private key to a WIT-SVID. */
export interface WitSvidKey {
  readonly privateKey: KeyObject;
  readonly algorithm: JwsAlgorithm;
}

const LIMITS: JsonLimits = { maxLength: 64 * 1024, maxDepth: 8 };

/**
 * Reads the `cnf` claim (RFC 7800 3.1, 3.2; WIT-SVID 3.2): one public key as `jwk`, with an `alg` that fits it.
 *
 * @throws SpiffeError `invalid-wit-svid`
 */
export function readConfirmation(cnf: JsonValue | undefined): ConfirmationKey {
  if (cnf === undefined) throw invalid('token missing cnf claim');
  if (!isJsonObject(cnf)) throw invalid('token cnf claim is not an object');
  // RFC 7800 3.1: only one key, so no second way to name one. Nothing is ever fetched or decrypted.
  if ('jwe' in cnf || 'jku' in cnf) throw invalid('token cnf claim names a key by other means than jwk');
  const { jwk } = cnf;
  if (!isJsonObject(jwk)) throw invalid('token cnf claim has no jwk object');
  if (isPrivateJwk(jwk)) throw invalid('token cnf claim holds the private part of a key');
  const algorithm = algorithmOf(jwk);
  const key = keyOfJwk(jwk);
  if ('unusable' in key) throw invalid(`token cnf claim: ${key.unusable}`);
  if (jwk['use'] === 'enc') throw invalid('token cnf claim: the key is for encryption');
  return checked({ key, algorithm });
}

/**
 * The `cnf` claim for a key, as issuers write it: the members of a public key and `alg`.
 *
 * @throws SpiffeError `invalid-wit-svid` for a private key, or an algorithm that is not the key's
 */
export function confirmationClaim({ key, algorithm }: ConfirmationKey): { readonly cnf: { readonly jwk: object } } {
  if (key.type !== 'public') throw invalid('cnf holds a public key only');
  const jwk = jwkOfKey(checked({ key, algorithm }).key);
  if (jwk === undefined) throw invalid('cnf key is of a kind that JWS does not use');
  return { cnf: { jwk: { ...jwk, alg: algorithm } } };
}

/**
 * Reads the private key beside a WIT-SVID (`wit_svid_key`, Workload API 7.2.1), a JWK, and makes sure that it is the
 * one to the token: proofs by any other would be refused everywhere.
 *
 * @throws SpiffeError `invalid-key`; no message repeats any of the text
 */
export function readWitSvidKey(jwkText: string, confirmation: ConfirmationKey): WitSvidKey {
  const { algorithm } = confirmation;
  const jwk = readKeyText(jwkText);
  if (jwk['alg'] !== undefined && jwk['alg'] !== algorithm) throw keyProblem('its alg is not that of the token');
  if (!isPrivateJwk(jwk)) throw keyProblem('it has no private part');
  const privateKey = guarded(() => createPrivateKey({ key: { ...jwk }, format: 'jwk' }));
  if (privateKey === undefined) throw keyProblem('it is malformed');
  const isSame = guarded(() => createPublicKey(privateKey).equals(confirmation.key));
  if (isSame === false) throw keyProblem('it is not the key of the token');
  const fits = isSame && guarded(() => isPair(privateKey, confirmation.key));
  if (fits !== true) throw keyProblem('its halves do not belong together');
  return { privateKey, algorithm };
}

/** OpenSSL takes the public part of a JWK as it is given, so only a signature shows what the private part is. */
function isPair(privateKey: KeyObject, publicKey: KeyObject): boolean {
  const probe = Buffer.from('probe');
  return verify('sha256', probe, publicKey, sign('sha256', probe, privateKey));
}

/** Numbers that make no key fail anywhere in OpenSSL, with errors that may repeat them: undefined stands for all. */
function guarded<T>(attempt: () => T): T | undefined {
  try {
    return attempt();
  } catch {
    return undefined;
  }
}

function readKeyText(text: string): JsonObject {
  if (text === '') throw keyProblem('it is missing');
  let jwk: JsonValue;
  try {
    jwk = readJson(text, LIMITS);
  } catch (error) {
    if (error instanceof JsonError) throw keyProblem('it is not JSON');
    throw error;
  }
  if (!isJsonObject(jwk)) throw keyProblem('it is not a JSON object');
  return jwk;
}

/** WIT-SVID 4: one of the nine. */
function algorithmOf({ alg }: JsonObject): JwsAlgorithm {
  if (!isJwsAlgorithm(alg)) throw invalid('token cnf claim: alg is missing or not allowed');
  return alg;
}

function checked(confirmation: ConfirmationKey): ConfirmationKey {
  if (fitsAlgorithm(confirmation.key, confirmation.algorithm)) return Object.freeze(confirmation);
  throw invalid('token cnf claim: alg is not one of the key');
}

function invalid(message: string): SpiffeError {
  return new SpiffeError('invalid-wit-svid', message);
}

function keyProblem(problem: string): SpiffeError {
  return new SpiffeError('invalid-key', `key of the WIT-SVID: ${problem}`);
}
