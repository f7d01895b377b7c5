import * as fc from 'fast-check';
import { compactVerify } from 'jose/jws/compact/verify';
import { describe, expect, it } from 'vitest';
import { BUNDLES, NOW, PERFECT } from '../../test/vectors/run/jwt-svid.ts';
import { bundlesOf, keyPair, type MadeToken, tokenOf } from '../../test/vectors/run/token-input.ts';
import type { JwtAuthority } from '../bundle/bundle.ts';
import { SpiffeError } from '../error.ts';
import { type JwtSvidExpectation, readUnverifiedJwtSvid, verifyJwtSvid } from './verify.ts';

// What makes a good or a bad JWT-SVID is in test/vectors/jwt-svid.json.

const bundles = bundlesOf(BUNDLES);
const expected: JwtSvidExpectation = {
  audience: ['a'],
  authorities: (td) => bundles.get(td)?.jwtAuthorities,
  now: NOW * 1000,
};
const make = (input: MadeToken = {}): string => tokenOf(input, PERFECT);

function authority(keyId: string, publicKey = keyPair('p256').publicKey): JwtAuthority {
  return { publicKey: publicKey.export({ format: 'der', type: 'spki' }), keyId, expiresAt: 0, tainted: false };
}

describe('verifyJwtSvid', () => {
  it('asks for the authorities of the trust domain of the subject, and of no other', async () => {
    const asked: string[] = [];
    const authorities: JwtSvidExpectation['authorities'] = (td) => {
      asked.push(td);
      return [];
    };
    await expect(verifyJwtSvid(make(), { ...expected, authorities })).rejects.toThrow('public key "p256" not found');
    expect(asked).toEqual(['td1.test']);
  });

  it('is exact at the ends of the leeway', async () => {
    const at = (now: number): Promise<unknown> => verifyJwtSvid(make(), { ...expected, now: NOW * 1000 + now });
    await expect(at(359_999)).resolves.toBeDefined();
    await expect(at(360_000)).rejects.toThrow('token has expired');
    await expect(at(-60_000)).resolves.toBeDefined();
    await expect(at(-60_001)).rejects.toThrow('token is issued in the future');
  });

  it.each([{ now: NaN }, { now: Infinity }, { leeway: NaN }, { leeway: Infinity }, { leeway: -1 }])(
    'does not judge by %j, with which nothing would ever expire',
    async (wrong) => {
      const token = make({ claims: { exp: 1, iat: 0 } });
      await expect(verifyJwtSvid(token, { ...expected, ...wrong })).rejects.toThrow(TypeError);
    },
  );

  it('passes over an authority whose key cannot be read', async () => {
    const broken = { ...authority('p256'), publicKey: Buffer.from('no key') };
    const judge = (authorities: readonly JwtAuthority[]) =>
      verifyJwtSvid(make(), { ...expected, authorities: () => authorities });
    await expect(judge([broken, authority('p256')])).resolves.toBeDefined();
    await expect(judge([broken])).rejects.toMatchObject({ code: 'untrusted-jwt-svid' });
  });

  it('pollutes no prototype', async () => {
    const claims = `{"sub":"spiffe://td1.test/web","aud":"a","exp":${NOW + 9},"__proto__":{"polluted":1}}`;
    const svid = await verifyJwtSvid(make({ claims }), expected);
    expect(svid.claims['polluted']).toBeUndefined();
    expect(Object.getPrototypeOf(svid.claims)).toBe(Object.prototype);
  });

  it('never repeats the token in a message', async () => {
    const token = make({ signature: 'changed' });
    const error: unknown = await verifyJwtSvid(token, expected).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'untrusted-jwt-svid', message: 'token signature cannot be verified' });
    expect(String(error)).not.toContain(token.split('.')[1]?.slice(0, 10));
  });

  it('fails in one way only, whatever the text', async () => {
    const good = make();
    const encode = (text: string): string => Buffer.from(text).toString('base64url');
    const mutated = fc
      .tuple(fc.nat(good.length - 1), fc.string({ maxLength: 3 }))
      .map(([at, text]) => good.slice(0, at) + text + good.slice(at + 1));
    const json = fc.json().map(encode);
    const tokens = fc.oneof(
      fc.string(),
      mutated,
      fc.tuple(json, json).map(([head, body]) => `${head}.${body}.AAAA`),
      json.map((body) => `${encode('{"alg":"ES256","kid":"p256"}')}.${body}.AAAA`),
    );
    await fc.assert(
      fc.asyncProperty(tokens, async (token) => {
        fc.pre(token !== good);
        await expect(verifyJwtSvid(token, expected)).rejects.toThrow(SpiffeError);
      }),
      { numRuns: 500 },
    );
  });

  it('never believes a signature that jose does not', async () => {
    const signature = fc.uint8Array({ minLength: 1, maxLength: 80 }).map((bytes) => Buffer.from(bytes));
    const [data] = make().split(/\.(?=[^.]*$)/);
    const good = Buffer.from(make().split('.')[2] ?? '', 'base64url');
    const nearly = fc
      .tuple(fc.nat(good.length - 1), fc.nat(255))
      .map(([at, byte]) => Buffer.from(good.map((old, index) => (index === at ? byte : old))));
    await fc.assert(
      fc.asyncProperty(fc.oneof(signature, nearly), async (bytes) => {
        const token = `${data}.${bytes.toString('base64url')}`;
        const believed = (judge: Promise<unknown>) => judge.then(() => true).catch(() => false);
        const byJose = await believed(compactVerify(token, keyPair('p256').publicKey, { algorithms: ['ES256'] }));
        expect(await believed(verifyJwtSvid(token, expected))).toBe(byJose);
      }),
      { numRuns: 200 },
    );
  });
});

describe('readUnverifiedJwtSvid', () => {
  it('says that it did not verify', () => {
    expect(readUnverifiedJwtSvid(make({ signature: 'changed' }))).toMatchObject({ verified: false, keyId: 'p256' });
  });
});
