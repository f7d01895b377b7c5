import {
  constants,
  type KeyObject,
  sign,
  type SignKeyObjectInput,
  verify,
  type VerifyKeyObjectInput,
} from 'node:crypto';
import type { JwtAuthority } from '../../../spiffe/bundle/bundle.ts';
import { ecKey, type FuzzKey, rsaKey } from '../keys.ts';

/** The keys of the trust domain `example.org` by key ID. */
export const TOKEN_KEYS: Readonly<Record<string, FuzzKey>> = {
  p256: ecKey('P-256', 'token'),
  p384: ecKey('P-384', 'token'),
  p521: ecKey('P-521', 'token'),
  rsa: rsaKey(),
};

/** The key of another trust domain, under a key ID that this one has too. */
export const FOREIGN_KEY = ecKey('P-256', 'foreign');

const authorityOf = (keyId: string, { spki }: FuzzKey): JwtAuthority =>
  Object.freeze({ publicKey: spki, keyId, expiresAt: 0, tainted: false });

const own = Object.entries(TOKEN_KEYS).map(([keyId, key]) => authorityOf(keyId, key));
const foreign = [authorityOf('p256', FOREIGN_KEY)];

/** The authorities of a trust domain, for verifiers. */
export function authoritiesOf(trustDomain: string): readonly JwtAuthority[] | undefined {
  if (trustDomain === 'example.org') return own;
  return trustDomain === 'other.org' ? foreign : undefined;
}

interface Algorithm {
  readonly digest: string;
  readonly keyId: string;
  readonly pss: boolean;
}

/** RFC 7518 3.1 */
export const ALGORITHMS: Readonly<Record<string, Algorithm>> = {
  ES256: { digest: 'sha256', keyId: 'p256', pss: false },
  ES384: { digest: 'sha384', keyId: 'p384', pss: false },
  ES512: { digest: 'sha512', keyId: 'p521', pss: false },
  RS256: { digest: 'sha256', keyId: 'rsa', pss: false },
  RS384: { digest: 'sha384', keyId: 'rsa', pss: false },
  RS512: { digest: 'sha512', keyId: 'rsa', pss: false },
  PS256: { digest: 'sha256', keyId: 'rsa', pss: true },
  PS384: { digest: 'sha384', keyId: 'rsa', pss: true },
  PS512: { digest: 'sha512', keyId: 'rsa', pss: true },
};

const optionsOf = (key: KeyObject, { pss }: Algorithm): VerifyKeyObjectInput & SignKeyObjectInput =>
  pss
    ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : { key, dsaEncoding: 'ieee-p1363' };

/** The signature of an algorithm by whatever key; undefined for what the algorithm cannot be made with. */
export function signAs(name: string, key: FuzzKey, data: string): Buffer | undefined {
  const algorithm = ALGORITHMS[name];
  if (algorithm === undefined) return undefined;
  return sign(algorithm.digest, Buffer.from(data), optionsOf(key.privateKey, algorithm));
}

/** Whether OpenSSL finds a signature right. */
export function isRight(name: string, key: KeyObject, data: string, signature: Buffer): boolean {
  const algorithm = ALGORITHMS[name];
  if (algorithm === undefined) return false;
  return verify(algorithm.digest, Buffer.from(data), optionsOf(key, algorithm), signature);
}
