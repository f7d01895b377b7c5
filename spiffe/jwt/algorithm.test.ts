import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fitsAlgorithm, isJwsAlgorithm, type JwsAlgorithm } from './algorithm.ts';

const ALL: readonly JwsAlgorithm[] = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'];

describe('fitsAlgorithm', () => {
  it.each<[string, ReturnType<typeof generateKeyPairSync>['publicKey'], readonly JwsAlgorithm[]]>([
    ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey, ALL.filter((name) => !name.startsWith('E'))],
    ['short RSA', generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey, []],
    ['P-256', generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey, ['ES256']],
    ['P-384', generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey, ['ES384']],
    ['P-521', generateKeyPairSync('ec', { namedCurve: 'P-521' }).publicKey, ['ES512']],
    ['secp256k1', generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey, []],
    ['Ed25519', generateKeyPairSync('ed25519').publicKey, []],
  ])('gives a key of kind %s its algorithms and no other (JWT-09)', (_kind, key, algorithms) => {
    expect(ALL.filter((name) => fitsAlgorithm(key, name))).toEqual(algorithms);
  });
});

describe('fitsAlgorithm of RSA keys that verify nothing', () => {
  const jwk = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });

  it.each([
    ['1', 'AQ'],
    ['2', 'Ag'],
    ['65536', 'AQAA'],
  ])('takes no exponent of %s', (_number, e) => {
    const key = createPublicKey({ key: { ...jwk, e }, format: 'jwk' });
    expect(ALL.filter((name) => fitsAlgorithm(key, name))).toEqual([]);
  });

  it('takes no key that is bound to PSS by its kind, as no JWK can say so', () => {
    const { publicKey } = generateKeyPairSync('rsa-pss', { modulusLength: 2048 });
    expect(ALL.filter((name) => fitsAlgorithm(publicKey, name))).toEqual([]);
  });
});

describe('isJwsAlgorithm', () => {
  it.each(['none', 'HS256', 'EdDSA', 'ES256K', 'es256', '', 'constructor', undefined, 1])('refuses %s', (name) => {
    expect(isJwsAlgorithm(name)).toBe(false);
  });
});
