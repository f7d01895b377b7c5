import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  appendPath,
  formatPath,
  isSpiffeId,
  joinPath,
  parseSpiffeId,
  pathOf,
  replaceSegments,
  segmentsOf,
  spiffeId,
  spiffeIdOfSegments,
  trustDomainOf,
} from './id.ts';
import { parseTrustDomain } from './trust-domain.ts';

// One text after the other is read by test/vectors/spiffe-id.json; here is what holds of all texts.

const segment = fc.stringMatching(/^[A-Za-z0-9._-]{1,12}$/).filter((one) => one !== '.' && one !== '..');
const name = fc.stringMatching(/^[a-z0-9._-]{1,20}$/);
const path = fc.array(segment, { maxLength: 6 }).map((segments) => joinPath(...segments));
const nearlyId = fc.oneof(fc.string(), fc.webUrl(), fc.stringMatching(/^[Ss][Pp]iffe:\/\/[ -~]{0,20}$/));

describe('parseSpiffeId', () => {
  it('either throws its own error or returns its very input, and so does the guard', () => {
    fc.assert(
      fc.property(nearlyId, (input) => {
        try {
          expect(parseSpiffeId(input)).toBe(input);
          expect(isSpiffeId(input)).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ name: 'SpiffeError', code: 'invalid-id' });
          expect(isSpiffeId(input)).toBe(false);
        }
      }),
    );
  });

  it('normalises to what it reads strictly, and changes nothing but letters of scheme and trust domain', () => {
    const anyCase = fc.tuple(fc.constantFrom('spiffe', 'SPIFFE', 'Spiffe'), fc.mixedCase(name), path);
    fc.assert(
      fc.property(anyCase, ([scheme, trustDomain, rest]) => {
        const id = parseSpiffeId(`${scheme}://${trustDomain}${rest}`, { normalize: true });
        expect(parseSpiffeId(id)).toBe(`spiffe://${trustDomain.toLowerCase()}${rest}`);
      }),
    );
  });

  it('accepts nothing more when it normalises than what lower case makes legal', () => {
    fc.assert(
      fc.property(nearlyId, (input) => {
        const lower = input.replace(/^[A-Za-z]+:\/\/[^/]*/, (text) => text.toLowerCase());
        let id: string | undefined;
        try {
          id = parseSpiffeId(input, { normalize: true });
        } catch {
          expect(isSpiffeId(lower)).toBe(false);
        }
        if (id !== undefined) expect(id).toBe(lower);
      }),
    );
  });
});

describe('an ID', () => {
  it('comes apart and together again', () => {
    fc.assert(
      fc.property(name, path, (trustDomain, rest) => {
        const id = spiffeId(parseTrustDomain(trustDomain), rest);
        expect(parseSpiffeId(id)).toBe(id);
        expect(spiffeId(trustDomainOf(id), pathOf(id))).toBe(id);
        expect(spiffeIdOfSegments(trustDomainOf(id), ...segmentsOf(id))).toBe(id);
        expect(replaceSegments(id, ...segmentsOf(id))).toBe(id);
        expect(JSON.parse(JSON.stringify(id))).toBe(id);
      }),
    );
  });

  it('grows by paths as paths grow', () => {
    fc.assert(
      fc.property(name, path, path, (trustDomain, first, second) => {
        const td = parseTrustDomain(trustDomain);
        expect(appendPath(spiffeId(td, first), second)).toBe(spiffeId(td, `${first}${second}`));
      }),
    );
  });

  it('is the trust domain itself without segments', () => {
    expect(segmentsOf(parseSpiffeId('spiffe://td'))).toEqual([]);
    expect(segmentsOf(parseSpiffeId('spiffe://td/a/b'))).toEqual(['a', 'b']);
  });
});

describe('formatPath', () => {
  it('gives as many segments as the template has, whatever the values, or refuses', () => {
    fc.assert(
      fc.property(fc.string(), fc.oneof(fc.string(), fc.integer()), (namespace, account) => {
        try {
          const id = spiffeId(parseTrustDomain('td'), formatPath`/ns/${namespace}/sa/${account}`);
          expect(segmentsOf(id)).toEqual(['ns', namespace, 'sa', String(account)]);
        } catch (error) {
          expect(error).toMatchObject({ name: 'SpiffeError', code: 'invalid-id' });
        }
      }),
    );
  });

  it('takes values within segments, and a template that begins with a slash', () => {
    expect(formatPath`/node-${7}/x`).toBe('/node-7/x');
    expect(() => formatPath`node-${7}`).toThrow('path must have a leading slash');
  });
});
