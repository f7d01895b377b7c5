import { createPublicKey, verify } from 'node:crypto';
import { compactVerify } from 'jose/jws/compact/verify';
import { describe, expect, it } from 'vitest';
import { parseSpiffeId } from '../id.ts';
import type { KeyType } from '../signer.ts';
import { generateSigner } from '../x509/key.ts';
import { ecdsaDerToJose } from './ecdsa.ts';
import { jwtSvidClaims, signClaims, signJwtSvid } from './sign.ts';

const id = parseSpiffeId('spiffe://example.org/web');
const times = { issuedAt: 1_700_000_000, expiresAt: 1_700_000_300 };

function decode(part: string | undefined): string {
  return Buffer.from(part ?? '', 'base64url').toString();
}

describe('signJwtSvid', () => {
  it.each<[KeyType, string]>([
    ['ec-p256', 'ES256'],
    ['ec-p384', 'ES384'],
    ['rsa-2048', 'RS256'],
  ])('signs with a key of type %s as %s', async (keyType, algorithm) => {
    const signer = await generateSigner(keyType);
    const token = await signJwtSvid({ signer, keyId: 'key-1', id, audience: ['a', '', 'b'], ...times });
    const [header, payload] = token.split('.').map(decode);
    expect(header).toBe(`{"alg":"${algorithm}","kid":"key-1","typ":"JWT"}`);
    expect(payload).toBe('{"aud":["a","b"],"exp":1700000300,"iat":1700000000,"sub":"spiffe://example.org/web"}');
    const key = createPublicKey({ key: signer.publicKey, format: 'der', type: 'spki' });
    await expect(compactVerify(token, key, { algorithms: [algorithm] })).resolves.toBeDefined();
  });

  it('lists a single audience, and adds iss and jti only when they are given', () => {
    const template = { id, audience: ['a'], ...times };
    expect(jwtSvidClaims({ ...template, issuer: '' })).toEqual({
      aud: ['a'],
      exp: times.expiresAt,
      iat: times.issuedAt,
      sub: id,
    });
    expect(jwtSvidClaims({ ...template, issuer: 'https://issuer', jwtId: 'x' })).toMatchObject({
      iss: 'https://issuer',
      jti: 'x',
    });
  });

  it.each([[[]], [['']]])('refuses the audience %j', (audience) => {
    expect(() => jwtSvidClaims({ id, audience, ...times })).toThrow('audience: cannot be empty');
  });

  it('refuses times that are not whole seconds', () => {
    expect(() => jwtSvidClaims({ id, audience: ['a'], ...times, expiresAt: 1.5 })).toThrow('whole number');
  });

  it('refuses a key without an ID', async () => {
    const signer = await generateSigner('ec-p256');
    await expect(signClaims({ signer, keyId: '', type: 'JWT', claims: {} })).rejects.toThrow('needs a key ID');
  });
});

describe('ecdsaDerToJose', () => {
  it.each([32, 48, 66])('pads short numbers to %d bytes', (length) => {
    const small = Buffer.from('3006020101020102', 'hex');
    const jose = ecdsaDerToJose(small, length);
    expect(jose).toHaveLength(2 * length);
    expect([jose[length - 1], jose[2 * length - 1]]).toEqual([1, 2]);
  });

  it('agrees with node:crypto for many signatures', async () => {
    const signer = await generateSigner('ec-p384');
    const key = createPublicKey({ key: signer.publicKey, format: 'der', type: 'spki' });
    for (let i = 0; i < 50; i += 1) {
      const data = Buffer.from(`message ${i}`);
      const signature = ecdsaDerToJose(await signer.sign('ecdsa-sha384', data), 48);
      expect(verify('sha384', data, { key, dsaEncoding: 'ieee-p1363' }, signature)).toBe(true);
    }
  });

  it('reads the long form of the outer length', () => {
    const number = `0242${'01'.padEnd(132, 'f')}`;
    expect(ecdsaDerToJose(Buffer.from(`308188${number}${number}`, 'hex'), 66)).toHaveLength(132);
  });

  it.each([
    ['nothing', ''],
    ['no sequence', '3106020101020102'],
    ['a wrong outer length', '3007020101020102'],
    ['text behind', '300602010102010200'],
    ['a third value', '300702010102010200'],
    ['one number', '3003020101'],
    ['an empty number', '300502000201020'.padEnd(16, '0')],
    ['a number that is too long', `3026022101${'00'.repeat(32)}020101`],
    ['a number beyond the end', '3006020101020902'],
  ])('refuses %s', (_what, hex) => {
    expect(() => ecdsaDerToJose(Buffer.from(hex, 'hex'), 32)).toThrow('ECDSA signature is malformed');
  });
});
