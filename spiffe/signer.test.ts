import { expect, it } from 'vitest';
import { KEY_TYPES, signatureAlgorithmOf } from './signer.ts';

it('has one algorithm for each kind of key', () => {
  expect(Object.fromEntries(KEY_TYPES.map((keyType) => [keyType, signatureAlgorithmOf(keyType)]))).toEqual({
    'ec-p256': 'ecdsa-sha256',
    'ec-p384': 'ecdsa-sha384',
    'rsa-2048': 'rsa-pkcs1-sha256',
    'rsa-4096': 'rsa-pkcs1-sha256',
  });
});
