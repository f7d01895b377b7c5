import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  authority,
  badAlgorithm,
  badSignature,
  cases,
  encode,
  expected,
  hmacToken,
  ID,
  make,
  NOW,
  SECONDS,
} from '../../test/vectors/jwt-svid.ts';
import type { JwtAuthority } from '../bundle/bundle.ts';
import { SpiffeError } from '../error.ts';
import { parseSpiffeId } from '../id.ts';
import { type JwtSvidExpectation, readUnverifiedJwtSvid, verifyJwtSvid } from './verify.ts';

describe('verifyJwtSvid', () => {
  it.each(cases)('$id $what', async ({ token, expected: other, no }) => {
    const verdict = verifyJwtSvid(token, { ...expected, ...other });
    if (no === undefined) {
      await expect(verdict).resolves.toMatchObject({ verified: true });
    } else {
      await expect(verdict).rejects.toThrow(SpiffeError);
      await expect(verdict).rejects.toThrow(no);
    }
  });

  it('V-J-01 V-J-32 V-J-50 gives ID, audience, times and all claims, aud as a list', async () => {
    const token = make({ claims: { aud: 'a', email: 'x', big: 2 ** 60, __proto__: { polluted: true } } });
    await expect(verifyJwtSvid(token, expected)).resolves.toEqual({
      verified: true,
      id: parseSpiffeId(ID),
      audience: ['a'],
      expiresAt: SECONDS + 300,
      issuedAt: SECONDS,
      keyId: 'p256',
      claims: { sub: ID, aud: ['a'], exp: SECONDS + 300, iat: SECONDS, email: 'x', big: 2 ** 60 },
    });
  });

  it('V-J-36 throws when no audience is expected', async () => {
    await expect(verifyJwtSvid(make(), { ...expected, audience: [] })).rejects.toThrow(TypeError);
    await expect(verifyJwtSvid(make(), { ...expected, audience: [''] })).rejects.toThrow(TypeError);
  });

  it('V-J-51 accepts a token twice', async () => {
    const token = make();
    await verifyJwtSvid(token, expected);
    await expect(verifyJwtSvid(token, expected)).resolves.toBeDefined();
  });

  it('V-J-18 asks for JWT authorities only: a WIT key is not among what it is given', async () => {
    const asked: string[] = [];
    const authorities: JwtSvidExpectation['authorities'] = (td) => {
      asked.push(td);
      return [];
    };
    await expect(verifyJwtSvid(make(), { ...expected, authorities })).rejects.toThrow('public key "p256" not found');
    expect(asked).toEqual(['td1.test']);
  });

  it('is exact at the ends of the leeway', async () => {
    const at = (now: number): Promise<unknown> => verifyJwtSvid(make(), { ...expected, now });
    await expect(at(NOW + 359_999)).resolves.toBeDefined();
    await expect(at(NOW + 360_000)).rejects.toThrow('token has expired');
    await expect(at(NOW - 60_000)).resolves.toBeDefined();
    await expect(at(NOW - 60_001)).rejects.toThrow('token is issued in the future');
  });

  it('tries every authority with the key ID', async () => {
    const authorities = (): readonly JwtAuthority[] => [authority('other', 'p256'), authority('p256')];
    await expect(verifyJwtSvid(make(), { ...expected, authorities })).resolves.toBeDefined();
  });

  it('never repeats the token in a message', async () => {
    const [head = '', payload = '', signature = ''] = make().split('.');
    const flipped = `${head}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    const error: unknown = await verifyJwtSvid(flipped, expected).catch((thrown: unknown) => thrown);
    expect(String(error)).not.toContain(payload.slice(0, 10));
    expect(error).toMatchObject({ code: 'untrusted-jwt-svid', message: badSignature });
  });

  it('fails in one way only, whatever the text', async () => {
    const good = make();
    const mutated = fc
      .tuple(fc.nat(good.length - 1), fc.string({ maxLength: 3 }))
      .map(([at, text]) => good.slice(0, at) + text + good.slice(at + 1));
    const json = fc.json().map((text) => encode(text));
    const tokens = fc.oneof(
      fc.string(),
      mutated,
      fc.tuple(json, json).map(([head, body]) => `${head}.${body}.AAAA`),
      json.map((body) => `${encode({ alg: 'ES256', kid: 'p256' })}.${body}.AAAA`),
    );
    await fc.assert(
      fc.asyncProperty(tokens, async (token) => {
        fc.pre(token !== good);
        await expect(verifyJwtSvid(token, expected)).rejects.toThrow(SpiffeError);
      }),
      { numRuns: 500 },
    );
  });
});

describe('readUnverifiedJwtSvid', () => {
  it('V-J-57 reads a token with a wrong signature and says so', () => {
    const svid = readUnverifiedJwtSvid(make({ key: 'other', header: { kid: 'p256', jku: 'x' } }));
    expect(svid).toMatchObject({ verified: false, id: ID, issuedAt: SECONDS, expiresAt: SECONDS + 300 });
  });

  it('still refuses what is not a JWT-SVID', () => {
    expect(() => readUnverifiedJwtSvid(make({ claims: { sub: undefined } }))).toThrow('token missing subject claim');
    expect(() => readUnverifiedJwtSvid(hmacToken())).toThrow(badAlgorithm);
  });
});
