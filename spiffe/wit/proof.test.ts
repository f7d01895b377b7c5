import { randomBytes } from 'node:crypto';
import { jwtVerify } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { AUDIENCE, BUNDLES, NOW, PERFECT } from '../../test/vectors/run/wit-svid.ts';
import { bundlesOf, jwkOf, type KeyName, keyPair, tokenOf } from '../../test/vectors/run/token-input.ts';
import type { JwsAlgorithm } from '../jwt/algorithm.ts';
import { authenticateWitSvid, type WitAuthenticationExpectation } from './authenticate.ts';
import { readWitSvidKey, type WitSvidKey } from './confirmation.ts';
import { signWorkloadProof, tokenHash, type WorkloadProofTemplate } from './proof.ts';
import { memoryReplayCache } from './replay.ts';
import { parseWitSvid } from './token.ts';

// What makes a good or a bad proof is in test/vectors/wit-svid.json, whose proofs are not made by the code here.

const now = NOW * 1000;
const bundles = bundlesOf(BUNDLES);
const expected: WitAuthenticationExpectation = {
  audience: [AUDIENCE],
  authorities: (td) => bundles.get(td)?.witAuthorities,
  now,
};

function witFor(name: KeyName, alg: JwsAlgorithm): { wit: string; key: WitSvidKey } {
  const wit = tokenOf({ claims: { cnf: { jwk: { $jwk: `public:${name}`, alg } } } }, PERFECT);
  const key = readWitSvidKey(JSON.stringify(jwkOf('private', name)), parseWitSvid(wit).confirmation);
  return { wit, key };
}

let template: WorkloadProofTemplate;
beforeAll(() => {
  template = { ...witFor('mine', 'ES256'), audience: AUDIENCE, now, random: randomBytes(16) };
});

function claimsOf(token: string): unknown {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}

describe('signWorkloadProof', () => {
  it('writes what the draft asks for, and nothing else', async () => {
    const proof = await signWorkloadProof(template);
    expect(Buffer.from(proof.split('.')[0] ?? '', 'base64url').toString()).toBe('{"alg":"ES256","typ":"wpt+jwt"}');
    expect(claimsOf(proof)).toEqual({
      aud: AUDIENCE,
      exp: NOW + 30,
      jti: Buffer.from(template.random).toString('base64url'),
      wth: tokenHash(template.wit),
    });
  });

  it.each<[JwsAlgorithm, KeyName]>([
    ['ES256', 'mine'],
    ['ES384', 'p384'],
    ['ES512', 'p521'],
    ['RS256', 'rsa'],
    ['RS384', 'rsa'],
    ['RS512', 'rsa'],
    ['PS256', 'rsa'],
    ['PS384', 'rsa'],
    ['PS512', 'rsa'],
  ])('proves by %s, to jose and to ourselves', async (algorithm, name) => {
    const { wit, key } = witFor(name, algorithm);
    const proof = await signWorkloadProof({ ...template, wit, key });
    const options = { algorithms: [algorithm], audience: AUDIENCE, typ: 'wpt+jwt', currentDate: new Date(now) };
    await expect(jwtVerify(proof, keyPair(name).publicKey, options)).resolves.toBeDefined();
    await expect(authenticateWitSvid(wit, proof, expected)).resolves.toMatchObject({ id: 'spiffe://td1.test/web' });
  });

  it('covers the method and all tokens that are sent along', async () => {
    const tokens = { accessToken: 'at', transactionToken: 'tt', others: { 'X-User': ' user ' } };
    const proof = await signWorkloadProof({ ...template, method: 'POST', tokens });
    expect(claimsOf(proof)).toMatchObject({
      htm: 'POST',
      ath: tokenHash('at'),
      tth: tokenHash('tt'),
      oth: { 'x-user': tokenHash('user') },
    });
    const judge = (more: Partial<WitAuthenticationExpectation>) =>
      authenticateWitSvid(template.wit, proof, { ...expected, ...more });
    await expect(judge({ method: 'POST', tokens })).resolves.toBeDefined();
    await expect(judge({ method: 'GET', tokens })).rejects.toThrow('another method');
    await expect(judge({ method: 'POST' })).rejects.toThrow('access token');
    await expect(judge({ method: 'POST', tokens: { ...tokens, others: {} } })).rejects.toThrow('other tokens');
  });

  it('hashes a token as the draft prints it', () => {
    // The first example of RFC 9449 7.1.
    expect(tokenHash('Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU')).toBe(
      'fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo',
    );
  });

  it('ends with the WIT-SVID at the latest', async () => {
    const end = NOW + 3600;
    const late = await signWorkloadProof({ ...template, now: (end - 10) * 1000 });
    expect(claimsOf(late)).toMatchObject({ exp: end });
    await expect(signWorkloadProof({ ...template, now: end * 1000 })).rejects.toThrow('the WIT-SVID has expired');
  });

  it.each<[string, () => Partial<WorkloadProofTemplate>, string]>([
    ['no audience', () => ({ audience: '' }), 'a proof needs an audience'],
    ['a long life', () => ({ lifetime: 301 }), 'a proof lives 1 to 300 seconds'],
    ['no life', () => ({ lifetime: 0 }), 'a proof lives 1 to 300 seconds'],
    ['a guessable ID', () => ({ random: randomBytes(15) }), '16 random bytes or more'],
    ['another key', () => ({ key: witFor('p384', 'ES384').key }), 'the key is not that of the WIT-SVID'],
    [
      'another algorithm',
      () => ({ key: { ...template.key, algorithm: 'ES384' } }),
      'the key is not that of the WIT-SVID',
    ],
    ['no WIT-SVID', () => ({ wit: 'x' }), 'not three parts'],
  ])('refuses %s', async (_what, over, message) => {
    await expect(signWorkloadProof({ ...template, ...over() })).rejects.toThrow(message);
  });
});

describe('authenticateWitSvid', () => {
  it('remembers no proof that it refuses', async () => {
    const replays = memoryReplayCache();
    const proof = await signWorkloadProof({ ...template, method: 'POST' });
    const judge = (method: string) => authenticateWitSvid(template.wit, proof, { ...expected, method, replays });
    await expect(judge('GET')).rejects.toThrow('another method');
    await expect(judge('POST')).resolves.toBeDefined();
    await expect(judge('POST')).rejects.toThrow('proof was used before');
  });

  it('repeats neither token in a message', async () => {
    const proof = await signWorkloadProof({ ...template, audience: 'https://other.test/' });
    const error: unknown = await authenticateWitSvid(template.wit, proof, expected).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'untrusted-wit-svid' });
    for (const token of [proof, template.wit]) expect(String(error)).not.toContain(token.split('.')[1]?.slice(0, 10));
  });
});

describe('memoryReplayCache', () => {
  it('knows a proof until it ends', () => {
    const cache = memoryReplayCache();
    expect(cache.add('a', 100, 50)).toBe(true);
    expect(cache.add('a', 100, 99.9)).toBe(false);
    expect(cache.add('b', 100, 99.9)).toBe(true);
    expect(cache.add('a', 200, 100)).toBe(true);
    expect(cache.add('a', 200, 150)).toBe(false);
  });

  it('is bounded, and when full refuses rather than forget what still works', () => {
    const cache = memoryReplayCache({ maxEntries: 2 });
    cache.add('a', 100, 0);
    cache.add('b', 200, 0);
    expect(() => cache.add('c', 300, 99)).toThrow('too many proofs are in use at once');
    expect(cache.add('b', 200, 99)).toBe(false);
    expect(cache.add('c', 300, 100)).toBe(true);
    expect(() => cache.add('d', 300, 100)).toThrow('too many proofs');
  });

  it('forgets ended proofs as it goes', () => {
    const cache = memoryReplayCache({ maxEntries: 5000 });
    const accepted = Array.from({ length: 50_000 }, (_none, at) => cache.add(`${at}`, at + 60, at));
    expect(accepted.every(Boolean)).toBe(true);
  });
});
