import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Bundle } from '../../../spiffe/bundle/bundle.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import { decodeAttributes, decodeBundle, encodeAttributes, encodeBundle } from './bundle-codec.ts';
import { expiredCertificate, validCertificate } from './conformance/samples.ts';
import { WireWriter } from './wire.ts';

/** `bundles.data` as a reference server of version 1.15.3 wrote it for its own trust domain. */
const fromReference = Buffer.from(
  'ChRzcGlmZmU6Ly9leGFtcGxlLm9yZxKFBAqCBDCCAf4wggGloAMCAQICEESWjE5PXBzxdRmRWOmjBucwCgYIKoZIzj0EAwIwTzELMAkGA1UEBhMC' +
    'VVMxDzANBgNVBAoTBlNQSUZGRTEvMC0GA1UEBRMmOTExNjkxOTM5ODM4NTYzNjQ0Nzk4NzE3MjMwNzUzNzE0Njg1MTkwHhcNMjYxMTIzMDMxNDIy' +
    'WhcNMjYxMTI0MDMxNDMyWjBPMQswCQYDVQQGEwJVUzEPMA0GA1UEChMGU1BJRkZFMS8wLQYDVQQFEyY5MTE2OTE5Mzk4Mzg1NjM2NDQ3OTg3MTcy' +
    'MzA3NTM3MTQ2ODUxOTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABG3GUGZSiCvslwCFL+tKZuPXkwJf6ygpMoRC85tgjzKGMSf/MMD4ZZHlV3Ny' +
    'URyq485FdtMhI5vGt90dPmLgq8OjYzBhMA4GA1UdDwEB/wQEAwIBBjAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBS46dW4KrUnktsgNcImF1mr' +
    '1LXV5DAfBgNVHREEGDAWhhRzcGlmZmU6Ly9leGFtcGxlLm9yZzAKBggqhkjOPQQDAgNHADBEAiAPkVhX48OYpgq72DZrR5DSdtPe8fITLvjtFTMx' +
    'L1zzhQIgeGHAqK16QPaPDOQGc6iDciDXVMjHy/4xMP309k/EOswahQEKWzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGsF5kXS36U8o0UbrMCz' +
    'd+u78zu4PxVurfVxWloDbDmyLSqC78dqtcvgECP2tmgLxV4N25kX/L9R98Z89aYJNl4SIHJCd1JTQzVyTHBUUm1oa0s0ZWNUaXFhYXB5WG5lVEE3' +
    'GJiClNgGKAE=',
  'base64',
);

describe('bundle codec', () => {
  const trustDomain = parseTrustDomain('example.org');

  it('reads the bytes of a reference server and writes the same ones', () => {
    const bundle = decodeBundle(fromReference);
    expect(bundle).toMatchObject({
      trustDomain,
      x509Authorities: [{ tainted: false }],
      jwtAuthorities: [{ keyId: 'rBwRSC5rLpTRmhkK4ecTiqaapyXneTA7', expiresAt: 1_795_490_072, tainted: false }],
      witAuthorities: [],
      refreshHint: 0,
      sequenceNumber: 1n,
    });
    expect(bundle.x509Authorities[0]?.certificate).toHaveLength(514);
    expect(encodeBundle(bundle)).toEqual(fromReference);
  });

  it('reads back any bundle', () => {
    const bytes = fc.uint8Array().map((one) => Buffer.from(one));
    const key = fc.record({
      publicKey: bytes,
      keyId: fc.string({ unit: 'grapheme' }),
      expiresAt: fc.maxSafeInteger(),
      tainted: fc.boolean(),
    });
    const certificate = fc.constantFrom(
      validCertificate,
      expiredCertificate,
      Buffer.from('no certificate'),
      Buffer.alloc(0),
    );
    const bundle: fc.Arbitrary<Bundle> = fc.record({
      trustDomain: fc.constant(trustDomain),
      x509Authorities: fc.array(fc.record({ certificate, tainted: fc.boolean() })),
      jwtAuthorities: fc.array(key),
      witAuthorities: fc.array(key),
      refreshHint: fc.maxSafeInteger(),
      sequenceNumber: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    });
    fc.assert(
      fc.property(bundle, (one) => {
        expect(decodeBundle(encodeBundle(one))).toEqual(one);
      }),
    );
  });

  it('takes several certificates in one record apart', () => {
    const record = new WireWriter()
      .bytes(1, Buffer.concat([validCertificate, expiredCertificate]))
      .integer(2, true)
      .end();
    const data = new WireWriter().text(1, 'spiffe://example.org').message(2, record).end();
    expect(decodeBundle(data).x509Authorities).toEqual([
      { certificate: validCertificate, tainted: true },
      { certificate: expiredCertificate, tainted: true },
    ]);
  });

  it('passes over fields of later versions', () => {
    const later = Buffer.concat([fromReference, new WireWriter().text(99, 'later').integer(98, 1).end()]);
    expect(decodeBundle(later)).toEqual(decodeBundle(fromReference));
  });

  it('refuses bytes that are no bundle', () => {
    expect(() => decodeBundle(fromReference.subarray(0, -1))).toThrow('ends inside');
    expect(() => decodeBundle(Buffer.alloc(0))).toThrow('trust domain is missing');
  });
});

describe('attributes codec', () => {
  it.each([
    [false, false, ''],
    [true, false, '0801'],
    [false, true, '1001'],
    [true, true, '08011001'],
  ])('prefetch off %s and jti %s are the bytes %j', (disableX509SvidPrefetch, jwtSvidIncludeJti, hex) => {
    const attributes = { disableX509SvidPrefetch, jwtSvidIncludeJti };
    expect(encodeAttributes(attributes).toString('hex')).toBe(hex);
    expect(decodeAttributes(Buffer.from(hex, 'hex'))).toEqual(attributes);
  });
});
