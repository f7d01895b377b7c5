import { describe, expect, it } from 'vitest';
import { readVectors } from '../../test/support/vectors.ts';
import { parseTrustDomain } from '../trust-domain.ts';
import { generateSigner } from '../x509/key.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { type Bundle, emptyBundle, type JwtAuthority, type X509Authority } from './bundle.ts';
import { equalBundles, mergeBundles, pruneBundle } from './change.ts';

const td = parseTrustDomain('example.org');
const { certificates } = readVectors('bundle-keys.json') as { readonly certificates: Record<string, string> };
const ec: X509Authority = { certificate: Buffer.from(certificates['ca-ec'] ?? '', 'base64'), tainted: false };
const rsa: X509Authority = { certificate: Buffer.from(certificates['ca-rsa'] ?? '', 'base64'), tainted: false };
const { publicKey } = await generateSigner('ec-p256');

function jwt(keyId: string, expiresAt = 0): JwtAuthority {
  return { publicKey, keyId, expiresAt, tainted: false };
}

function bundle(parts: Partial<Bundle>): Bundle {
  return { ...emptyBundle(td), sequenceNumber: 5n, refreshHint: 60, ...parts };
}

describe('mergeBundles', () => {
  const stored = bundle({ x509Authorities: [ec], jwtAuthorities: [jwt('a')] });

  it('appends what is new and raises the sequence number by one', () => {
    const { bundle: merged, changed } = mergeBundles(stored, {
      trustDomain: td,
      x509Authorities: [ec, rsa],
      jwtAuthorities: [jwt('b'), jwt('b')],
      witAuthorities: [jwt('w')],
      refreshHint: 1,
      sequenceNumber: 99n,
    });
    expect(changed).toBe(true);
    expect(merged).toEqual({
      ...stored,
      x509Authorities: [ec, rsa],
      jwtAuthorities: [jwt('a'), jwt('b')],
      witAuthorities: [jwt('w')],
      sequenceNumber: 6n,
    });
  });

  it('returns the stored bundle itself when nothing is new', () => {
    const merged = mergeBundles(stored, { trustDomain: td, x509Authorities: [{ ...ec }], jwtAuthorities: [jwt('a')] });
    expect(merged.changed).toBe(false);
    expect(merged.bundle).toBe(stored);
  });

  it('takes a tainted mark and an expiry for a difference', () => {
    const tainted = { ...ec, tainted: true };
    expect(mergeBundles(stored, { trustDomain: td, x509Authorities: [tainted] }).bundle.x509Authorities).toEqual([
      ec,
      tainted,
    ]);
    expect(mergeBundles(stored, { trustDomain: td, jwtAuthorities: [jwt('a', 9)] }).changed).toBe(true);
  });

  it('refuses to mix trust domains', () => {
    expect(() => mergeBundles(stored, { trustDomain: parseTrustDomain('other.org') })).toThrow('two trust domains');
  });

  it('leaves what it was given alone', () => {
    const frozen = Object.freeze({ ...stored, x509Authorities: Object.freeze([ec]) });
    mergeBundles(frozen, { trustDomain: td, x509Authorities: [rsa] });
    expect(frozen).toEqual(stored);
  });
});

describe('equalBundles', () => {
  const one = bundle({ x509Authorities: [ec, rsa], jwtAuthorities: [jwt('a'), jwt('b')] });

  it('passes over the order', () => {
    expect(equalBundles(one, { ...one, x509Authorities: [rsa, ec], jwtAuthorities: [jwt('b'), jwt('a')] })).toBe(true);
  });

  it.each<[string, Partial<Bundle>]>([
    ['trust domain', { trustDomain: parseTrustDomain('other.org') }],
    ['sequence number', { sequenceNumber: 6n }],
    ['refresh hint', { refreshHint: 61 }],
    ['fewer authorities', { x509Authorities: [ec] }],
    ['one authority twice', { x509Authorities: [ec, ec] }],
    ['tainted mark', { x509Authorities: [ec, { ...rsa, tainted: true }] }],
    ['key ID', { jwtAuthorities: [jwt('a'), jwt('c')] }],
    ['expiry', { jwtAuthorities: [jwt('a'), jwt('b', 1)] }],
    ['WIT authorities', { witAuthorities: [jwt('a')] }],
  ])('sees another %s', (_what, other) => {
    expect(equalBundles(one, { ...one, ...other })).toBe(false);
  });
});

describe('pruneBundle', () => {
  const notAfter = parseCertificate(ec.certificate).notAfter / 1000;

  it('takes out what expired, raises the sequence number and resets the hint', () => {
    const full = bundle({ x509Authorities: [ec], jwtAuthorities: [jwt('a', 100), jwt('b', 101), jwt('c')] });
    const { bundle: pruned, changed, removed } = pruneBundle(full, 100);
    expect(changed).toBe(true);
    expect(pruned).toEqual({
      ...full,
      jwtAuthorities: [jwt('b', 101), jwt('c')],
      sequenceNumber: 6n,
      refreshHint: 0,
    });
    expect(removed).toEqual({ x509Authorities: [], jwtAuthorities: [jwt('a', 100)], witAuthorities: [] });
  });

  it('removes a certificate at its very end and not before', () => {
    const full = bundle({ x509Authorities: [ec, rsa] });
    expect(pruneBundle(full, notAfter - 1).bundle).toBe(full);
    expect(pruneBundle(full, notAfter)).toMatchObject({ changed: true, removed: { x509Authorities: [ec] } });
  });

  it.each<[string, Partial<Bundle>, number]>([
    ['certificates', { x509Authorities: [ec] }, notAfter],
    ['JWT signing keys', { x509Authorities: [ec], jwtAuthorities: [jwt('a', 1)] }, 10],
    ['WIT signing keys', { x509Authorities: [ec], witAuthorities: [jwt('a', 1)] }, 10],
  ])('refuses to remove all %s', (what, parts, expiresBefore) => {
    expect(() => pruneBundle(bundle(parts), expiresBefore)).toThrow(`would prune all ${what}`);
  });
});
