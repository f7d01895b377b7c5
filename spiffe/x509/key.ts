import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { promisify } from 'node:util';
import { SpiffeError } from '../error.ts';
import type { KeyType, SignatureAlgorithm, Signer } from '../signer.ts';
import { DerReader } from './der.ts';
import { parsePublicKey, type PublicKey } from './public-key.ts';

/** A private key that this process holds itself, and so can write out. */
export interface PrivateKeySigner extends Signer {
  readonly privateKey: KeyObject;
  /** DER of the PrivateKeyInfo (RFC 5208 5). */
  pkcs8(): Buffer;
}

/** Whoever can sign certificates. Every Signer can; so can keys of kinds that SVIDs do not use (an upstream CA's). */
export type CertificateSigner = Pick<Signer, 'publicKey' | 'sign'>;

const generate = promisify(generateKeyPair);

/** Makes a new key, on the thread pool. RSA takes tenths of a second or more. */
export async function generateSigner(keyType: KeyType): Promise<PrivateKeySigner> {
  return signerFromPrivateKey(await generatePrivateKey(keyType));
}

async function generatePrivateKey(keyType: KeyType): Promise<KeyObject> {
  switch (keyType) {
    case 'ec-p256':
      return (await generate('ec', { namedCurve: 'P-256' })).privateKey;
    case 'ec-p384':
      return (await generate('ec', { namedCurve: 'P-384' })).privateKey;
    case 'rsa-2048':
      return (await generate('rsa', { modulusLength: 2048 })).privateKey;
    case 'rsa-4096':
      return (await generate('rsa', { modulusLength: 4096 })).privateKey;
  }
}

/**
 * @throws SpiffeError `invalid-key` when it is not of a kind that SVIDs and authorities use
 */
export function signerFromPrivateKey(privateKey: KeyObject): PrivateKeySigner {
  const { publicKey, sign } = certificateSignerFromPrivateKey(privateKey);
  return {
    keyType: keyTypeOf(parsePublicKey(publicKey)),
    publicKey,
    privateKey,
    sign,
    pkcs8: () => privateKey.export({ type: 'pkcs8', format: 'der' }),
  };
}

/**
 * A signer of certificates from a private key of any kind that certificates are checked with, as upstream CAs have.
 *
 * @throws SpiffeError `invalid-key`
 */
export function certificateSignerFromPrivateKey(privateKey: KeyObject): CertificateSigner {
  if (privateKey.type !== 'private') throw new SpiffeError('invalid-key', 'not a private key');
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const { kind } = parsePublicKey(publicKey);
  return {
    publicKey,
    async sign(algorithm, data) {
      const { digest, pss, key } = SIGNING[algorithm];
      if (key !== kind) throw new SpiffeError('invalid-key', `${algorithm} does not fit this kind of key`);
      return signAsync(digest, data, pss, privateKey);
    },
  };
}

interface SigningRow {
  readonly digest: string;
  readonly key: PublicKey['kind'];
  readonly pss: boolean;
}

const SIGNING: Record<SignatureAlgorithm, SigningRow> = {
  'ecdsa-sha256': { digest: 'sha256', key: 'ec', pss: false },
  'ecdsa-sha384': { digest: 'sha384', key: 'ec', pss: false },
  'ecdsa-sha512': { digest: 'sha512', key: 'ec', pss: false },
  'rsa-pkcs1-sha256': { digest: 'sha256', key: 'rsa', pss: false },
  'rsa-pkcs1-sha384': { digest: 'sha384', key: 'rsa', pss: false },
  'rsa-pkcs1-sha512': { digest: 'sha512', key: 'rsa', pss: false },
  'rsa-pss-sha256': { digest: 'sha256', key: 'rsa', pss: true },
  'rsa-pss-sha384': { digest: 'sha384', key: 'rsa', pss: true },
  'rsa-pss-sha512': { digest: 'sha512', key: 'rsa', pss: true },
};

/** On the thread pool, so that one process signs on all cores and never stalls its event loop. */
function signAsync(digest: string, data: Uint8Array, pss: boolean, privateKey: KeyObject): Promise<Buffer> {
  const key = pss
    ? {
        key: privateKey,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
      }
    : privateKey;
  return new Promise((resolve, reject) => {
    sign(digest, data, key, (error, signature) => {
      if (error === null) resolve(signature);
      else reject(error);
    });
  });
}

/** @throws SpiffeError `invalid-key` when no KeyType fits */
function keyTypeOf(key: PublicKey): KeyType {
  if (key.kind === 'ec' && key.curve === 'P-256') return 'ec-p256';
  if (key.kind === 'ec' && key.curve === 'P-384') return 'ec-p384';
  if (key.kind === 'rsa' && key.bits === 2048) return 'rsa-2048';
  if (key.kind === 'rsa' && key.bits === 4096) return 'rsa-4096';
  throw new SpiffeError('invalid-key', 'key is not one of ec-p256, ec-p384, rsa-2048, rsa-4096');
}

/**
 * Reads the DER of an unencrypted PrivateKeyInfo. A SEC1 or PKCS#1 key is refused, as the Workload API promises PKCS#8.
 *
 * @throws SpiffeError `invalid-key`, without the parser's own words
 */
export function privateKeyFromPkcs8(der: Buffer): KeyObject {
  try {
    const reader = new DerReader(der);
    reader.sequence('private key');
    // node:crypto passes over what follows.
    reader.finish('private key');
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    if (isPair(key)) return key;
  } catch {
    // Falls through without a cause: OpenSSL's error may hold pieces of the key.
  }
  throw new SpiffeError('invalid-key', 'private key is not a well-formed PKCS#8 key');
}

/**
 * Whether the two halves of a key belong together. OpenSSL believes the public half that stands beside the private one, so
 * only a signature shows; keys of kinds that cannot make one are for others to judge.
 */
function isPair(privateKey: KeyObject): boolean {
  const kind = privateKey.asymmetricKeyType;
  if (kind !== 'ec' && kind !== 'rsa' && kind !== 'ed25519') return true;
  const digest = kind === 'ed25519' ? null : 'sha256';
  const probe = Buffer.from('probe');
  return verify(digest, probe, createPublicKey(privateKey), sign(digest, probe, privateKey));
}
