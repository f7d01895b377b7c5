import { createPublicKey, generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newTestKey } from '../../test/support/pki.ts';
import { KEY_TYPES, signatureAlgorithmOf } from '../signer.ts';
import { bitString, encode, integer, objectIdentifier, octetString, sequence } from './der-writer.ts';
import { certificateSignerFromPrivateKey, generateSigner, privateKeyFromPkcs8, signerFromPrivateKey } from './key.ts';
import { checkStrength, importPublicKey, parsePublicKey, signingAlgorithmOf } from './public-key.ts';

const invalid = (message: RegExp): object =>
  expect.objectContaining({ code: 'invalid-key', message: expect.stringMatching(message) });
const data = Buffer.from('to be signed');

describe('generateSigner', () => {
  it.each(KEY_TYPES)('makes a key of type %s that signs, is written out and read back', async (keyType) => {
    const signer = await generateSigner(keyType);
    expect(signer.keyType).toBe(keyType);
    const again = signerFromPrivateKey(privateKeyFromPkcs8(signer.pkcs8()));
    expect(again).toMatchObject({ keyType, publicKey: signer.publicKey });
    const algorithm = signatureAlgorithmOf(keyType);
    const signature = await again.sign(algorithm, data);
    const key = createPublicKey({ key: signer.publicKey, format: 'der', type: 'spki' });
    expect(verify(algorithm.slice(-6), data, key, signature)).toBe(true);
    expect(signingAlgorithmOf(parsePublicKey(signer.publicKey))).toBe(algorithm);
  });

  it('signs by all algorithms of its kind and no other', async () => {
    const signer = await generateSigner('rsa-2048');
    const key = importPublicKey(parsePublicKey(signer.publicKey));
    const pss = { key, padding: 6, saltLength: 48 };
    expect(verify('sha384', data, pss, await signer.sign('rsa-pss-sha384', data))).toBe(true);
    expect(verify('sha512', data, key, await signer.sign('rsa-pkcs1-sha512', data))).toBe(true);
    await expect(signer.sign('ecdsa-sha256', data)).rejects.toThrow(invalid(/does not fit/));
    const ec = await generateSigner('ec-p256');
    await expect(ec.sign('rsa-pkcs1-sha256', data)).rejects.toThrow(invalid(/does not fit/));
  });
});

describe('signerFromPrivateKey', () => {
  it.each(['P-521', 'rsa-3072'] as const)('refuses %s, with which an upstream CA may still sign', async (kind) => {
    const { privateKey, spki } = newTestKey(kind);
    expect(() => signerFromPrivateKey(privateKey)).toThrow(invalid(/not one of/));
    const signer = certificateSignerFromPrivateKey(privateKey);
    const algorithm = signingAlgorithmOf(parsePublicKey(signer.publicKey));
    expect(signer.publicKey).toEqual(spki);
    expect(verify(algorithm.slice(-6), data, createPublicKey(privateKey), await signer.sign(algorithm, data))).toBe(
      true,
    );
  });

  it('refuses public keys and keys that sign no certificates here', () => {
    const { privateKey, publicKey } = generateKeyPairSync('x25519');
    expect(() => signerFromPrivateKey(publicKey)).toThrow(invalid(/not a private key/));
    expect(() => signerFromPrivateKey(privateKey)).toThrow(invalid(/unsupported kind/));
    const { spki } = newTestKey('ed25519');
    expect(() => signingAlgorithmOf(parsePublicKey(spki))).toThrow(invalid(/no signature algorithm/));
  });
});

describe('privateKeyFromPkcs8', () => {
  const { privateKey } = newTestKey();
  const refuse = (der: Buffer): void => expect(() => privateKeyFromPkcs8(der)).toThrow(invalid(/PKCS#8/));

  it('V-X-61 refuses SEC1', () => refuse(privateKey.export({ type: 'sec1', format: 'der' })));

  it('V-X-62 refuses encryption', () =>
    refuse(privateKey.export({ type: 'pkcs8', format: 'der', cipher: 'aes-256-cbc', passphrase: 'x' })));

  it('refuses nonsense', () => refuse(Buffer.from('nonsense')));

  // What a peer is shown is a signature by the private half, under a certificate of the public half.
  it('refuses a key whose halves do not belong together', () => {
    const mine = privateKey.export({ type: 'pkcs8', format: 'der' });
    const other = newTestKey().privateKey.export({ type: 'pkcs8', format: 'der' });
    // The private half of a P-256 key stands in bytes 36 to 67.
    refuse(Buffer.concat([mine.subarray(0, 36), other.subarray(36, 68), mine.subarray(68)]));
  });

  it('refuses the modulus of one RSA key with the rest of another', () => {
    const jwk = newTestKey('rsa-2048').privateKey.export({ format: 'jwk' });
    const { n } = newTestKey('rsa-2048').privateKey.export({ format: 'jwk' });
    // By hand, as Node.js from 26 on makes no such key. RFC 8017 A.1.2.
    const number = (text = ''): Buffer => integer(BigInt(`0x${Buffer.from(text, 'base64url').toString('hex')}`));
    const rest = [jwk.e, jwk.d, jwk.p, jwk.q, jwk.dp, jwk.dq, jwk.qi].map(number);
    const algorithm = sequence(objectIdentifier('1.2.840.113549.1.1.1'), encode(0x05));
    const keyWith = (modulus: string | undefined): Buffer =>
      sequence(integer(0), algorithm, octetString(sequence(integer(0), number(modulus), ...rest)));
    expect(privateKeyFromPkcs8(keyWith(jwk.n)).asymmetricKeyType).toBe('rsa');
    refuse(keyWith(n));
  });

  it('refuses a private half that is too large for its curve', () => {
    const point = newTestKey('P-384').spki.subarray(-97);
    const secret = octetString(Buffer.alloc(56, 0x7c));
    const key = sequence(integer(1), secret, encode(0xa1, bitString(point)));
    const algorithm = sequence(objectIdentifier('1.2.840.10045.2.1'), objectIdentifier('1.3.132.0.34'));
    refuse(sequence(integer(0), algorithm, octetString(key)));
  });

  it('repeats nothing of what it could not read', () => {
    const cut = privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(0, 60);
    expect.assertions(1);
    try {
      privateKeyFromPkcs8(cut);
    } catch (error) {
      expect(error).not.toHaveProperty('cause');
    }
  });
});

describe('parsePublicKey', () => {
  it.each(['P-256', 'P-384', 'P-521', 'rsa-2048', 'rsa-3072', 'ed25519'] as const)('reads %s as node does', (kind) => {
    const { privateKey, spki } = newTestKey(kind);
    const key = parsePublicKey(spki);
    checkStrength(key);
    expect(importPublicKey(key).equals(createPublicKey(privateKey))).toBe(true);
    if (key.kind === 'rsa') expect(key.bits).toBe(privateKey.asymmetricKeyDetails?.modulusLength);
  });

  it('reads a changed key as node does, or not at all', () => {
    const keys = (['P-256', 'rsa-2048', 'ed25519'] as const).map((kind) => newTestKey(kind).spki);
    const change = fc.record({
      spki: fc.constantFrom(...keys),
      at: fc.nat({ max: 300 }),
      cut: fc.nat({ max: 2 }),
      put: fc.uint8Array({ maxLength: 2 }),
    });
    fc.assert(
      fc.property(change, ({ spki, at, cut, put }) => {
        const der = Buffer.concat([spki.subarray(0, at), put, spki.subarray(at + cut)]);
        let ours: KeyObject;
        try {
          ours = importPublicKey(parsePublicKey(der));
        } catch (error) {
          expect(error).toEqual(invalid(/./));
          return;
        }
        expect(createPublicKey({ key: der, format: 'der', type: 'spki' }).equals(ours)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it('refuses weak RSA keys, and those that cost too much', () => {
    expect(() => checkStrength(parsePublicKey(newTestKey('rsa-1024').spki))).toThrow(invalid(/shorter than 2048/));
    const modulus = Buffer.alloc(1025, 0xff);
    const huge = { kind: 'rsa', bits: 8200, modulus, exponent: Buffer.from([1, 0, 1]) } as const;
    expect(() => checkStrength(huge)).toThrow(invalid(/longer than 8192/));
  });

  it('refuses other curves, compressed points and points that are on no curve', () => {
    expect(() => parsePublicKey(newTestKey('secp256k1').spki)).toThrow(invalid(/unsupported curve/));
    const { spki } = newTestKey();
    const compressed = Buffer.from(spki);
    compressed[spki.length - 65] = 2;
    expect(() => parsePublicKey(compressed)).toThrow(invalid(/uncompressed/));
    const off = Buffer.from(spki);
    off[off.length - 1] = (off.at(-1) ?? 0) ^ 1;
    expect(() => importPublicKey(parsePublicKey(off))).toThrow(invalid(/not valid/));
  });

  it('refuses DSA, and whatever is not a key', () => {
    const { publicKey } = generateKeyPairSync('x448');
    expect(() => parsePublicKey(publicKey.export({ type: 'spki', format: 'der' }))).toThrow(
      invalid(/unsupported kind/),
    );
    expect(() => parsePublicKey(Buffer.from('nonsense'))).toThrow(invalid(/public key/));
    expect(() => parsePublicKey(Buffer.concat([newTestKey().spki, Buffer.of(0)]))).toThrow(invalid(/trailing/));
  });
});
