import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpiffeError } from '../error.ts';
import { parseTrustDomain } from '../trust-domain.ts';
import { generateSigner } from '../x509/key.ts';
import { emptyBundle, type JwtAuthority } from './bundle.ts';
import { equalBundles } from './change.ts';
import { bundleFromSpiffeJson, bundleToSpiffeJson, jwksOf, jwtAuthoritiesFromJwks, readSpiffeBundle } from './json.ts';

type Members = Record<string, unknown>;

interface Vector {
  readonly id: string;
  readonly what: string;
  readonly text?: string;
  readonly keys?: readonly { readonly key?: string; readonly set?: Members }[];
  readonly members?: Members;
  readonly expect: {
    readonly x509: number;
    readonly jwt: readonly string[];
    readonly wit: readonly string[];
    readonly sequence?: string | null;
    readonly hint?: number | null;
    readonly skipped?: readonly number[];
  } | null;
}

const file: {
  readonly keys: Record<string, Members>;
  readonly certificates: Record<string, string>;
  readonly vectors: readonly Vector[];
} = JSON.parse(readFileSync(new URL('../../test/vectors/bundle-json.json', import.meta.url), 'utf8'));

const td = parseTrustDomain('example.org');

function documentOf({ text, keys = [], members = {} }: Vector): string {
  return text ?? JSON.stringify({ keys: keys.map(keyOf), ...members });
}

function keyOf({ key, set = {} }: { readonly key?: string; readonly set?: Members }): Members {
  const merged = { ...(key === undefined ? {} : file.keys[key]), ...set };
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null));
}

function authority(name: string, keyId: string): JwtAuthority {
  const [found] = jwtAuthoritiesFromJwks(JSON.stringify({ keys: [{ ...file.keys[name], kid: keyId }] }));
  if (found === undefined) throw new Error('the vector is not usable');
  return found;
}

describe('readSpiffeBundle', () => {
  it.each(file.vectors)('$id $what', (vector) => {
    const document = documentOf(vector);
    if (vector.expect === null) {
      expect(() => readSpiffeBundle(document, td)).toThrow(SpiffeError);
      return;
    }
    const { bundle, skipped, hasSequenceNumber, hasRefreshHint } = readSpiffeBundle(document, td);
    expect(bundle.trustDomain).toBe(td);
    expect(bundle.x509Authorities).toHaveLength(vector.expect.x509);
    expect(bundle.jwtAuthorities.map((one) => one.keyId)).toEqual(vector.expect.jwt);
    expect(bundle.witAuthorities.map((one) => one.keyId)).toEqual(vector.expect.wit);
    expect(skipped.map((one) => one.index)).toEqual(vector.expect.skipped ?? []);
    const { sequence, hint } = vector.expect;
    if (sequence !== undefined) expect(hasSequenceNumber ? String(bundle.sequenceNumber) : null).toBe(sequence);
    if (hint !== undefined) expect(hasRefreshHint ? bundle.refreshHint : null).toBe(hint);
  });

  it('V-B-18 takes the first of two certificates', () => {
    const vector = file.vectors.find((one) => one.id === 'V-B-18');
    const [first] = readSpiffeBundle(documentOf(vector as Vector), td).bundle.x509Authorities;
    expect(first?.certificate.toString('base64')).toBe(file.certificates['ca-ec']);
  });

  it('refuses two WIT authorities with one kid', () => {
    const [a, b] = ['jwt-p256', 'jwt-p384'].map((name) => ({ ...file.keys[name], use: 'wit-svid', kid: 'same' }));
    expect(() => readSpiffeBundle(JSON.stringify({ keys: [a, b] }), td)).toThrow('two wit-svid keys have one kid');
  });

  it('bounds the document and the number of keys', () => {
    expect(() => readSpiffeBundle(`{"keys":[],"x":"${'a'.repeat(5_000_000)}"}`, td)).toThrow('too long');
    expect(() => readSpiffeBundle(`{"keys":[${Array(5000).fill('{}').join()}]}`, td)).toThrow('more than 4096 keys');
    expect(() => readSpiffeBundle(`{"keys":${'['.repeat(100_000)}`, td)).toThrow('too deeply nested');
  });

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

describe('jwtAuthoritiesFromJwks', () => {
  const bare = { ...file.keys['jwt-rsa'], use: undefined };

  it.each([
    ['V-B-45', 'a key without use', [bare], ['rsa']],
    ['V-B-46', 'a WIT key is passed over', [bare, { ...file.keys['jwt-p256'], use: 'wit-svid' }], ['rsa']],
    ['V-B-47', 'an unknown kty is passed over', [{ ...bare, kid: 'x', kty: 'AKP' }, bare], ['rsa']],
  ])('%s %s', (_id, _what, keys, expected) => {
    expect(jwtAuthoritiesFromJwks(JSON.stringify({ keys })).map((one) => one.keyId)).toEqual(expected);
  });

  it('V-B-48 refuses a document without keys', () => {
    expect(() => jwtAuthoritiesFromJwks('{}')).toThrow('"keys" is missing');
  });

  it('refuses two keys with one kid', () => {
    expect(() => jwtAuthoritiesFromJwks(JSON.stringify({ keys: [bare, bare] }))).toThrow('two jwt-svid keys');
  });
});

describe('bundleToSpiffeJson', () => {
  const all = bundleFromSpiffeJson(
    JSON.stringify({ keys: ['x509-rsa', 'jwt-rsa', 'jwt-p256', 'x509-ec'].map((name) => file.keys[name]) }),
    td,
  );

  it('V-B-38 writes an empty bundle that can be read back', () => {
    const text = bundleToSpiffeJson(emptyBundle(td));
    expect(text).toBe('{\n    "keys": []\n}');
    expect(bundleFromSpiffeJson(text, td)).toEqual(emptyBundle(td));
  });

  it('V-B-39 writes what reads back as the same', () => {
    const bundle = { ...all, refreshHint: 60, sequenceNumber: 2n ** 64n - 1n };
    const text = bundleToSpiffeJson(bundle);
    expect(text).toContain('\n    "spiffe_sequence": 18446744073709551615,\n    "spiffe_refresh_hint": 60\n}');
    expect(equalBundles(bundleFromSpiffeJson(text, td), bundle)).toBe(true);
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

  it('leaves WIT authorities out', () => {
    const wit = { ...emptyBundle(td), witAuthorities: all.jwtAuthorities };
    expect(JSON.parse(bundleToSpiffeJson(wit))).toEqual({ keys: [] });
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
