import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readVectors, type VectorText, vectorText } from '../test/support/vectors.ts';
import { trustDomainId } from './id.ts';
import { parseTrustDomain } from './trust-domain.ts';

interface Vectors {
  readonly accepted: readonly { id: string; input: VectorText; name: VectorText }[];
  readonly refused: readonly { id: string; input: VectorText; error: string }[];
}

const { accepted, refused } = readVectors('trust-domain.json') as Vectors;

describe('parseTrustDomain', () => {
  it.each(accepted)('$id accepts', ({ input, name }) => {
    expect(parseTrustDomain(vectorText(input))).toBe(vectorText(name));
  });

  it.each(refused)('$id refuses: $error', ({ input, error }) => {
    expect(() => parseTrustDomain(vectorText(input))).toThrow(
      expect.objectContaining({ code: 'invalid-trust-domain', message: error }),
    );
  });

  it('V-TD-18 keeps names apart that DNS would not', () => {
    const names = ['example.org', 'example..org', '.example.org', 'example.org.'].map(parseTrustDomain);
    expect(new Set(names).size).toBe(4);
  });

  it('V-TD-27 has an ID without a slash at the end', () => {
    expect(trustDomainId(parseTrustDomain('td'))).toBe('spiffe://td');
  });

  it('reads a name and its ID alike, and nothing else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.domain(), fc.stringMatching(/^[a-zA-Z0-9._-]{1,30}$/)), (input) => {
        const legal = /^[a-z0-9._-]{1,255}$/.test(input);
        if (legal) expect(parseTrustDomain(`spiffe://${input}/x`)).toBe(parseTrustDomain(input));
        else expect(() => parseTrustDomain(input)).toThrow(expect.objectContaining({ code: 'invalid-trust-domain' }));
      }),
    );
  });
});
