import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readVectors } from '../../test/support/vectors.ts';
import { SpiffeError } from '../error.ts';
import { parseTrustDomain } from '../trust-domain.ts';
import { generateSigner } from '../x509/key.ts';
import { emptyBundle, type JwtAuthority } from './bundle.ts';
import {
  bundleFromSpiffeJson,
  bundleToSpiffeJson,
  jwksOf,
  jwtAuthoritiesFromJwks,
  readSpiffeBundle,
  witAuthoritiesFromJwks,
  witJwksOf,
} from './json.ts';

// One document after the other is read by test/vectors/bundle.json; here is what holds of all, and the exact text written.

type Members = Record<string, unknown>;

const file = readVectors('bundle-keys.json') as { readonly keys: Record<string, Members> };

const td = parseTrustDomain('example.org');

function authority(name: string, keyId: string): JwtAuthority {
  const [found] = jwtAuthoritiesFromJwks(JSON.stringify({ keys: [{ ...file.keys[name], kid: keyId }] }));
  if (found === undefined) throw new Error('the vector is not usable');
  return found;
}

describe('readSpiffeBundle', () => {
  it('never says more than the rule and the place', () => {
    expect(() => readSpiffeBundle('{"keys":[{"use":"jwt-svid","kty":"EC","d":"secret"}]}', td)).toThrow(
      /^bundle holds the private part of a key$/,
    );
    expect(() => readSpiffeBundle('{"secret"', td)).toThrow(/^bundle is malformed: expected a colon at offset 9$/);
  });

  it('fails in one way only, whatever the bytes', () => {
    const usable = Buffer.from(JSON.stringify({ keys: Object.values(file.keys), spiffe_sequence: 7 }));
    const mutated = fc
      .array(fc.tuple(fc.nat(usable.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
      .map((changes) => {
        const copy = Buffer.from(usable);
        for (const [at, byte] of changes) copy[at] = byte;
        return copy;
      });
    const documents = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map((text) => Buffer.from(text)),
      fc.json().map((text) => Buffer.from(`{"keys":[${text}]}`)),
      mutated,
    );
    fc.assert(
      fc.property(documents, (document) => {
        try {
          readSpiffeBundle(document, td);
        } catch (error) {
          expect(error).toBeInstanceOf(SpiffeError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('bundleToSpiffeJson', () => {
  const all = bundleFromSpiffeJson(
    JSON.stringify({ keys: ['x509-rsa', 'jwt-rsa', 'jwt-p256', 'x509-ec'].map((name) => file.keys[name]) }),
    td,
  );

  it('writes an empty list of keys', () => {
    expect(bundleToSpiffeJson(emptyBundle(td))).toBe('{\n    "keys": []\n}');
  });

  it('writes 64-bit sequence numbers exactly, and the hint last', () => {
    expect(bundleToSpiffeJson({ ...all, refreshHint: 60, sequenceNumber: 2n ** 64n - 1n })).toContain(
      '\n    "spiffe_sequence": 18446744073709551615,\n    "spiffe_refresh_hint": 60\n}',
    );
  });

  it('keeps the members in the order of the reference, JWT keys by kid', () => {
    const { keys }: { keys: readonly Members[] } = JSON.parse(bundleToSpiffeJson(all));
    expect(keys.map((key) => Object.keys(key).join())).toEqual([
      'use,kty,n,e,x5c',
      'use,kty,crv,x,y,x5c',
      'use,kty,kid,crv,x,y',
      'use,kty,kid,n,e',
    ]);
  });

  it('writes the hint of the endpoint instead of the stored one, and no zeros', () => {
    expect(bundleToSpiffeJson({ ...emptyBundle(td), refreshHint: 7 }, { refreshHint: 300 })).toBe(
      '{\n    "keys": [],\n    "spiffe_refresh_hint": 300\n}',
    );
  });

  it('writes WIT authorities last and only when asked, never with the key ID of a JWT authority', () => {
    const wit = {
      ...emptyBundle(td),
      jwtAuthorities: [authority('jwt-rsa', 'z')],
      witAuthorities: [authority('jwt-p256', 'a')],
    };
    const uses = (text: string): unknown[] =>
      JSON.parse(text).keys.map(({ use, kid }: Members) => `${String(use)} ${String(kid)}`);
    expect(uses(bundleToSpiffeJson(wit))).toEqual(['jwt-svid z']);
    expect(uses(bundleToSpiffeJson(wit, { wit: true }))).toEqual(['jwt-svid z', 'wit-svid a']);
    const mixed = { ...wit, witAuthorities: [authority('jwt-p256', 'z')] };
    expect(() => bundleToSpiffeJson(mixed, { wit: true })).toThrow('a JWT and a WIT authority have one key ID');
    expect(uses(bundleToSpiffeJson(mixed))).toEqual(['jwt-svid z']);
  });

  it.each([
    ['a negative hint', { refreshHint: -1 }],
    ['a fraction of a second', { refreshHint: 1.5 }],
    ['a negative sequence number', { sequenceNumber: -1n }],
    ['a sequence number of 65 bits', { sequenceNumber: 2n ** 64n }],
  ])('writes no document that it would not read: %s', (_what, numbers) => {
    expect(() => bundleToSpiffeJson({ ...emptyBundle(td), ...numbers })).toThrow(/^bundle is malformed: "spiffe_/);
  });

  it('writes a certificate once, though it be there with and without a tainted mark', () => {
    const [first] = all.x509Authorities;
    if (first === undefined) throw new Error('the vectors have an X.509 authority');
    const twice = { ...emptyBundle(td), x509Authorities: [first, { ...first, tainted: true }] };
    expect(JSON.parse(bundleToSpiffeJson(twice)).keys).toHaveLength(1);
  });
});

describe('jwksOf', () => {
  it('writes plain keys by kid, in the format of the Workload API', () => {
    const { kty, crv, x, y } = file.keys['jwt-p256'] ?? {};
    expect(jwksOf({ jwtAuthorities: [authority('jwt-p256', 'b')] })).toBe(
      [
        '{',
        '    "keys": [',
        '        {',
        `            "kty": "${String(kty)}",`,
        '            "kid": "b",',
        `            "crv": "${String(crv)}",`,
        `            "x": "${String(x)}",`,
        `            "y": "${String(y)}"`,
        '        }',
        '    ]',
        '}',
      ].join('\n'),
    );
    expect(jwksOf({ jwtAuthorities: [] })).toBe('{\n    "keys": []\n}');
  });

  it('gives one text for one content, whatever the order', () => {
    const [a, b, c] = [authority('jwt-p256', 'a'), authority('jwt-rsa', 'b'), authority('jwt-p384', 'c')];
    const text = jwksOf({ jwtAuthorities: [a, b, c] });
    expect(jwksOf({ jwtAuthorities: [c, a, { ...b, tainted: true }, b] })).toBe(text);
    expect(jwtAuthoritiesFromJwks(text)).toEqual([a, b, c]);
  });

  it('writes WIT authorities in the same way', () => {
    const witAuthorities = [authority('jwt-p384', 'b'), authority('jwt-p256', 'a')];
    const text = witJwksOf({ witAuthorities });
    expect(text).toBe(jwksOf({ jwtAuthorities: witAuthorities }));
    expect(witAuthoritiesFromJwks(text).map(({ keyId }) => keyId)).toEqual(['a', 'b']);
  });

  it('keeps a key ID with a line break in one string', () => {
    const text = jwksOf({ jwtAuthorities: [authority('jwt-p256', 'a\n"b')] });
    expect(jwtAuthoritiesFromJwks(text).map((one) => one.keyId)).toEqual(['a\n"b']);
  });

  it('refuses a malformed key', async () => {
    const { publicKey } = await generateSigner('ec-p256');
    const broken = { publicKey: publicKey.subarray(0, 40), keyId: 'a', expiresAt: 0, tainted: false };
    expect(() => jwksOf({ jwtAuthorities: [broken] })).toThrow('public key is malformed');
  });
});
