import { describe, expect, it } from 'vitest';
import { parseTrustDomain } from '../trust-domain.ts';
import { emptyBundle } from './bundle.ts';
import { bundleMapToJson, readBundleMap } from './bundle-map.ts';
import { bundleOf, bundleSet, equalBundleSets, withBundle, withoutBundle } from './bundle-set.ts';

const [a, b, c] = (['a.org', 'b.org', 'c.org'] as const).map((name) => emptyBundle(parseTrustDomain(name)));
if (a === undefined || b === undefined || c === undefined) throw new Error('three names give three bundles');

describe('a bundle set', () => {
  const both = bundleSet(a, b);

  it('gives each trust domain its own bundle, and no other', () => {
    expect(bundleOf(both, a.trustDomain)).toBe(a);
    expect(() => bundleOf(both, c.trustDomain)).toThrow(
      expect.objectContaining({ code: 'unknown-trust-domain', message: 'no bundle of trust domain c.org' }),
    );
  });

  it('is a value: changes make another set', () => {
    const newer = { ...a, sequenceNumber: 7n };
    expect(bundleOf(withBundle(both, newer), a.trustDomain)).toBe(newer);
    expect([...withBundle(both, c).keys()]).toEqual(['a.org', 'b.org', 'c.org']);
    expect([...withoutBundle(both, a.trustDomain).keys()]).toEqual(['b.org']);
    expect([...withoutBundle(both, c.trustDomain).keys()]).toEqual(['a.org', 'b.org']);
    expect([...both.values()]).toEqual([a, b]);
  });

  it('holds one bundle of a trust domain', () => {
    expect(() => bundleSet(a, b, { ...a, sequenceNumber: 1n })).toThrow('two bundles of a.org');
  });

  it('equals another in whatever order', () => {
    expect(equalBundleSets(both, bundleSet(b, a))).toBe(true);
    expect(equalBundleSets(both, bundleSet(a))).toBe(false);
    expect(equalBundleSets(both, bundleSet(a, c))).toBe(false);
    expect(equalBundleSets(both, bundleSet(a, { ...b, sequenceNumber: 1n }))).toBe(false);
  });
});

describe('bundleMapToJson', () => {
  it('writes the bundles by name, without refresh hints', () => {
    const text = bundleMapToJson([{ ...b, refreshHint: 60, sequenceNumber: 2n ** 64n - 1n }, a]);
    expect(text).toBe(
      [
        '{',
        '    "trust_domains": {',
        '        "a.org": {',
        '            "keys": []',
        '        },',
        '        "b.org": {',
        '            "keys": [],',
        '            "spiffe_sequence": 18446744073709551615',
        '        }',
        '    }',
        '}',
      ].join('\n'),
    );
    expect(equalBundleSets(readBundleMap(text).bundles, bundleSet(a, { ...b, sequenceNumber: 2n ** 64n - 1n }))).toBe(
      true,
    );
  });

  it('writes an empty map that can be read back', () => {
    expect(bundleMapToJson([])).toBe('{\n    "trust_domains": {}\n}');
    expect(readBundleMap(bundleMapToJson([])).bundles.size).toBe(0);
  });

  it('refuses a repeated name', () => {
    expect(() => bundleMapToJson([a, b, a])).toThrow('two bundles of a.org');
  });

  it('names the trust domain whose bundle cannot be written', () => {
    const broken = { certificate: Buffer.from('30', 'hex'), tainted: false };
    expect(() => bundleMapToJson([a, { ...b, x509Authorities: [broken] }])).toThrow(/^bundle of b\.org: /);
  });
});
