import type { KeyObject } from 'node:crypto';
import type { KeyType, SignatureAlgorithm } from '../signer.ts';

/** The JWS algorithms of JWT-SVID 2.1; no other is ever accepted. */
export type JwsAlgorithm = 'RS256' | 'RS384' | 'RS512' | 'ES256' | 'ES384' | 'ES512' | 'PS256' | 'PS384' | 'PS512';

/** The kind of key that an algorithm works with: an RSA key, or a key on this curve in OpenSSL's name for it. */
const KEY_OF: Record<JwsAlgorithm, 'rsa' | 'prime256v1' | 'secp384r1' | 'secp521r1'> = {
  RS256: 'rsa',
  RS384: 'rsa',
  RS512: 'rsa',
  ES256: 'prime256v1',
  ES384: 'secp384r1',
  ES512: 'secp521r1',
  PS256: 'rsa',
  PS384: 'rsa',
  PS512: 'rsa',
};

/** RFC 7518 3.3 and 3.5: an RSA key has at least this many bits. */
const MIN_RSA_BITS = 2048;

/** Whether JWT-SVIDs may be signed with it. */
export function isJwsAlgorithm(name: unknown): name is JwsAlgorithm {
  return typeof name === 'string' && Object.hasOwn(KEY_OF, name);
}

/**
 * Whether a public key is of the kind and curve that the algorithm asks for (RFC 7518 3.1). An RSA key whose exponent is
 * even or 1 is of no kind: anybody can sign for the latter (RFC 8017 3.1).
 */
export function fitsAlgorithm(key: KeyObject, algorithm: JwsAlgorithm): boolean {
  const kind = KEY_OF[algorithm];
  const details = key.asymmetricKeyDetails;
  if (kind === 'rsa') {
    const { modulusLength = 0, publicExponent = 0n } = details ?? {};
    const isSound = modulusLength >= MIN_RSA_BITS && publicExponent >= 3n && publicExponent % 2n === 1n;
    return key.asymmetricKeyType === 'rsa' && isSound;
  }
  return key.asymmetricKeyType === 'ec' && details?.namedCurve === kind;
}

/** How a key of one type signs a JWS. */
export interface JwsSigning {
  readonly name: JwsAlgorithm;
  readonly signature: SignatureAlgorithm;
  /** Bytes of each of the two numbers of an ECDSA signature (RFC 7518 3.4); undefined for RSA. */
  readonly integerLength?: number;
}

const RSA: JwsSigning = { name: 'RS256', signature: 'rsa-pkcs1-sha256' };

/** The algorithm for each type of key that authorities use, as the reference chooses it. */
export const SIGNING: Record<KeyType, JwsSigning> = {
  'ec-p256': { name: 'ES256', signature: 'ecdsa-sha256', integerLength: 32 },
  'ec-p384': { name: 'ES384', signature: 'ecdsa-sha384', integerLength: 48 },
  'rsa-2048': RSA,
  'rsa-4096': RSA,
};
