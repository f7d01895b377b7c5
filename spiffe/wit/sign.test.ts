import { compactVerify } from 'jose/jws/compact/verify';
import { describe, expect, it } from 'vitest';
import { keyPair } from '../../test/vectors/run/token-input.ts';
import { parseSpiffeId } from '../id.ts';
import { signerFromPrivateKey } from '../x509/key.ts';
import { signWitSvid, type WitSvidTemplate, witSvidClaims } from './sign.ts';
import { parseWitSvid } from './token.ts';

const template: WitSvidTemplate = {
  id: parseSpiffeId('spiffe://td1.test/web'),
  confirmation: { key: keyPair('mine').publicKey, algorithm: 'ES256' },
  expiresAt: 2000,
};

describe('signWitSvid', () => {
  it('signs exactly alg, kid and typ', async () => {
    const signer = signerFromPrivateKey(keyPair('p384').privateKey);
    const token = await signWitSvid({ ...template, signer, keyId: 'k' });
    const { protectedHeader, payload } = await compactVerify(token, keyPair('p384').publicKey);
    expect(protectedHeader).toEqual({ alg: 'ES384', kid: 'k', typ: 'wit+jwt' });
    const { x, y } = keyPair('mine').publicKey.export({ format: 'jwk' });
    expect(JSON.parse(Buffer.from(payload).toString())).toEqual({
      cnf: { jwk: { kty: 'EC', crv: 'P-256', x, y, alg: 'ES256' } },
      exp: 2000,
      sub: 'spiffe://td1.test/web',
    });
  });

  it('reads back what it writes', async () => {
    const signer = signerFromPrivateKey(keyPair('p256').privateKey);
    const random = Buffer.alloc(16, 7);
    const more = { issuedAt: 1000, notBefore: 990, issuer: 'spiffe://td1.test', random, extra: { x: [1] } };
    expect(parseWitSvid(await signWitSvid({ ...template, ...more, signer, keyId: 'k' }))).toMatchObject({
      id: template.id,
      keyId: 'k',
      expiresAt: 2000,
      issuedAt: 1000,
      notBefore: 990,
      issuer: 'spiffe://td1.test',
      tokenId: random.toString('base64url'),
      claims: { x: [1] },
    });
  });

  it('refuses a key without an ID', async () => {
    const signer = signerFromPrivateKey(keyPair('p256').privateKey);
    await expect(signWitSvid({ ...template, signer, keyId: '' })).rejects.toMatchObject({ code: 'invalid-wit-svid' });
  });

  it.each<[string, Partial<WitSvidTemplate>, string]>([
    ['an audience', { extra: { aud: ['a'] } }, 'aud cannot be set'],
    ['another subject by the way', { extra: { sub: 'spiffe://td1.test/other' } }, 'sub cannot be set'],
    ['another key by the way', { extra: { cnf: {} } }, 'cnf cannot be set'],
    ['half a second', { expiresAt: 1.5 }, 'not a whole number of seconds'],
    ['half a second in nbf', { notBefore: 1.5 }, 'not a whole number of seconds'],
    ['half a second in iat', { issuedAt: Number.NaN }, 'not a whole number of seconds'],
    ['an https issuer', { issuer: 'https://issuer.example' }, 'an https URL'],
    ['a guessable jti', { random: Buffer.alloc(15) }, '16 random bytes or more'],
    ['a private key', { confirmation: { key: keyPair('mine').privateKey, algorithm: 'ES256' } }, 'a public key only'],
    [
      'another algorithm',
      { confirmation: { key: keyPair('mine').publicKey, algorithm: 'RS256' } },
      'not one of the key',
    ],
    ['a weak key', { confirmation: { key: keyPair('weak').publicKey, algorithm: 'RS256' } }, 'not one of the key'],
  ])('refuses %s', (_what, over, message) => {
    expect(() => witSvidClaims({ ...template, ...over })).toThrow(message);
  });
});
