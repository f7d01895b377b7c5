import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { CHECKOUT } from '../support/checkout.ts';
import { encode, integer, objectIdentifier, octetString, sequence } from '../../spiffe/x509/der-writer.ts';

/**
 * Keys that are the same in every run, so that a seed repeats it. Those on curves are made from numbers; making an RSA
 * key takes too long for that, so there is one in a file.
 */
export interface FuzzKey {
  readonly privateKey: KeyObject;
  /** DER of the SubjectPublicKeyInfo. */
  readonly spki: Buffer;
}

const CURVES = {
  'P-256': { oid: '1.2.840.10045.3.1.7', size: 32 },
  'P-384': { oid: '1.3.132.0.34', size: 48 },
  'P-521': { oid: '1.3.132.0.35', size: 66 },
} as const;

export function ed25519Key(name: string): FuzzKey {
  const seed = octetString(octetString(secretOf(name, 32)));
  return keyOf(sequence(integer(0), sequence(objectIdentifier('1.3.101.112')), seed));
}

export function ecKey(curve: keyof typeof CURVES, name: string): FuzzKey {
  const { oid, size } = CURVES[curve];
  const secret = secretOf(name, size);
  // Below the order of the curve, whichever it is.
  secret[0] = 0;
  const algorithm = sequence(objectIdentifier('1.2.840.10045.2.1'), objectIdentifier(oid));
  const key = sequence(integer(1), octetString(secret), encode(0xa0, objectIdentifier(oid)));
  return keyOf(sequence(integer(0), algorithm, octetString(key)));
}

/** Always the same: making one from numbers takes too long. */
export function rsaKey(): FuzzKey {
  const { pkcs8 } = JSON.parse(readFileSync(path.join(CHECKOUT, 'test/fuzz/rsa-key.json'), 'utf8')) as {
    pkcs8: string;
  };
  return keyOf(Buffer.from(pkcs8, 'base64'));
}

function keyOf(pkcs8: Buffer): FuzzKey {
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  return { privateKey, spki: createPublicKey(privateKey).export({ type: 'spki', format: 'der' }) };
}

function secretOf(name: string, size: number): Buffer {
  return createHash('shake256', { outputLength: size }).update(name).digest();
}
