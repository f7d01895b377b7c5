import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTrustDomain, parseTrustDomain } from './trust-domain.ts';

// One text after the other is read by test/vectors/trust-domain.json; here is what holds of all texts.

describe('parseTrustDomain', () => {
  it('reads a name and its ID alike, and nothing else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.domain(), fc.stringMatching(/^[a-zA-Z0-9._-]{1,30}$/)), (input) => {
        const legal = /^[a-z0-9._-]{1,255}$/.test(input);
        expect(isTrustDomain(input)).toBe(legal);
        if (legal) expect(parseTrustDomain(`spiffe://${input}/x`)).toBe(parseTrustDomain(input));
        else expect(() => parseTrustDomain(input)).toThrow(expect.objectContaining({ code: 'invalid-trust-domain' }));
      }),
    );
  });

  it('normalises to what it reads strictly', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-zA-Z0-9._-]{1,30}$/), (input) => {
        const name = input.toLowerCase();
        expect(parseTrustDomain(input, { normalize: true })).toBe(name);
        expect(parseTrustDomain(`SPIFFE://${input}/X`, { normalize: true })).toBe(name);
      }),
    );
  });
});
