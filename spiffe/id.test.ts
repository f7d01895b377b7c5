import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readVectors, type VectorText, vectorText } from '../test/support/vectors.ts';
import { isMemberOf, joinPath, parseSpiffeId, pathOf, spiffeId, trustDomainId, trustDomainOf } from './id.ts';
import { parseTrustDomain } from './trust-domain.ts';

interface Vectors {
  readonly accepted: readonly { id: string; input: VectorText; trustDomain: VectorText; path: VectorText }[];
  readonly refused: readonly { id: string; input: VectorText; error: string }[];
}

const { accepted, refused } = readVectors('spiffe-id.json') as Vectors;
const td = parseTrustDomain('td');
const isRefused = (read: () => unknown): boolean => {
  try {
    read();
    return false;
  } catch {
    return true;
  }
};
const bytes = Array.from({ length: 256 }, (_none, code) => String.fromCharCode(code));
const invalid = (message: string): object => expect.objectContaining({ code: 'invalid-id', message });

describe('parseSpiffeId', () => {
  it.each(accepted)('$id accepts', ({ input, trustDomain, path }) => {
    const id = parseSpiffeId(vectorText(input));
    expect(id).toBe(vectorText(input));
    expect(trustDomainOf(id)).toBe(vectorText(trustDomain));
    expect(pathOf(id)).toBe(vectorText(path));
  });

  it.each(refused)('$id refuses: $error', ({ input, error }) => {
    expect(() => parseSpiffeId(vectorText(input))).toThrow(invalid(error));
  });

  it('V-ID-24 compares paths by case', () => {
    expect(parseSpiffeId('spiffe://td/Path')).not.toBe(parseSpiffeId('spiffe://td/path'));
  });

  it('V-ID-59 takes 39 of all bytes as a trust domain', () => {
    const good = bytes.filter((byte) => !isRefused(() => parseSpiffeId(`spiffe://${byte}/p`)));
    expect(good.join('')).toBe('-.0123456789_abcdefghijklmnopqrstuvwxyz');
  });

  it('V-ID-60 takes 64 of all bytes as a segment', () => {
    const good = bytes.filter((byte) => !isRefused(() => parseSpiffeId(`spiffe://td/${byte}`)));
    expect(good.join('')).toBe('-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz');
  });

  it.each([[undefined], [7], [Buffer.from('spiffe://td/a')], [new URL('spiffe://td/a')]])(
    'V-ID-66 takes no %s for text',
    (input) => {
      expect(() => parseSpiffeId(input as unknown as string)).toThrow(TypeError);
    },
  );

  it('either throws its own error or returns its very input', () => {
    const text = fc.oneof(fc.string(), fc.webUrl(), fc.stringMatching(/^spiffe:\/\/[ -~]{0,20}$/));
    fc.assert(
      fc.property(text, (input) => {
        try {
          expect(parseSpiffeId(input)).toBe(input);
        } catch (error) {
          expect(error).toMatchObject({ name: 'SpiffeError', code: 'invalid-id' });
        }
      }),
    );
  });

  it('comes apart and together again', () => {
    const segment = fc.stringMatching(/^[A-Za-z0-9._-]{1,12}$/).filter((one) => one !== '.' && one !== '..');
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9._-]{1,20}$/), fc.array(segment, { maxLength: 6 }), (name, segments) => {
        const id = spiffeId(parseTrustDomain(name), joinPath(...segments));
        expect(parseSpiffeId(id)).toBe(id);
        expect(spiffeId(trustDomainOf(id), pathOf(id))).toBe(id);
      }),
    );
  });
});

describe('building IDs', () => {
  it('V-ID-63 builds nothing over 2048 bytes', () => {
    expect(spiffeId(td, `/${'a'.repeat(2036)}`)).toHaveLength(2048);
    expect(() => spiffeId(td, `/${'a'.repeat(2037)}`)).toThrow(invalid('SPIFFE ID is longer than 2048 bytes'));
  });

  it('V-ID-67, V-ID-68 joins segments', () => {
    expect(spiffeId(td, joinPath())).toBe('spiffe://td');
    expect(spiffeId(td, joinPath('a', 'b'))).toBe('spiffe://td/a/b');
  });

  it.each([
    ['V-ID-69', ''],
    ['V-ID-70', '.'],
    ['V-ID-70', '..'],
    ['V-ID-71', '/foo'],
    ['V-ID-71', 'foo/bar'],
  ])('%s refuses the segment "%s"', (_id, segment) => {
    expect(() => joinPath('a', segment)).toThrow(expect.objectContaining({ code: 'invalid-id' }));
  });

  it('V-ID-72 takes an empty path for the ID of the trust domain', () => {
    expect(spiffeId(td, '')).toBe('spiffe://td');
    expect(trustDomainId(td)).toBe('spiffe://td');
  });

  it.each([
    ['V-ID-73', 'foo', 'path must have a leading slash'],
    ['V-ID-74', '/', 'path cannot have a trailing slash'],
    ['V-ID-74', '/foo/', 'path cannot have a trailing slash'],
  ])('%s refuses the path "%s"', (_id, path, message) => {
    expect(() => spiffeId(td, path)).toThrow(invalid(message));
  });

  it('V-ID-75 to V-ID-77 appends and replaces paths', () => {
    const id = parseSpiffeId('spiffe://td/a');
    expect(spiffeId(trustDomainOf(id), `${pathOf(id)}/b`)).toBe('spiffe://td/a/b');
    expect(() => spiffeId(td, `${pathOf(trustDomainId(td))}${joinPath('..')}`)).toThrow(
      invalid('path cannot contain dot segments'),
    );
    expect(spiffeId(trustDomainOf(id), '')).toBe('spiffe://td');
  });
});

describe('isMemberOf', () => {
  it('V-ID-79 takes no suffix for membership', () => {
    const id = parseSpiffeId('spiffe://a.b/x');
    expect(isMemberOf(id, parseTrustDomain('a.b'))).toBe(true);
    expect(isMemberOf(id, parseTrustDomain('b'))).toBe(false);
    expect(isMemberOf(trustDomainId(parseTrustDomain('a.b')), parseTrustDomain('a.b'))).toBe(true);
  });
});
