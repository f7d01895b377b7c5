import { X509Certificate } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  extension,
  issue,
  issueCa,
  issueSvid,
  newTestKey,
  TEST_HOUR,
  TEST_NOW,
  type TestAlgorithmName,
  type TestKeyKind,
  type TestSpec,
} from '../../test/support/pki.ts';
import { isSignedBy, parseCertificate, parseCertificates, spiffeIdOf, splitCertificates } from './certificate.ts';
import { DerReader } from './der.ts';
import { bitString, boolean, encode, integer, objectIdentifier, octetString, sequence } from './der-writer.ts';
import { formatName } from './name.ts';

const root = issueCa(undefined, { subject: 'root', pathLength: 3 });
const leaf = issueSvid(root, 'spiffe://td/a', { subject: 'leaf', serialNumber: 0xfedcba9876543210n });
const invalid = (message: RegExp): object =>
  expect.objectContaining({ code: 'invalid-certificate', message: expect.stringMatching(message) });

describe('parseCertificate', () => {
  it('reads everything that matters', () => {
    const certificate = parseCertificate(
      issue(root, {
        key: leaf.key,
        subject: 'all',
        names: [
          [2, 'web'],
          [6, 'spiffe://td/a'],
          [1, 'a@b.c'],
          [7, Buffer.from([127, 0, 0, 1])],
        ],
        extensions: [extension('1.2.3', true, Buffer.of(5, 0))],
      }).der,
    );
    expect(certificate).toMatchObject({
      version: 3,
      issuer: root.subject,
      notBefore: TEST_NOW - TEST_HOUR,
      notAfter: TEST_NOW + TEST_HOUR,
      publicKey: leaf.key.spki,
      uris: ['spiffe://td/a'],
      dnsNames: ['web'],
      emails: ['a@b.c'],
      ipAddresses: [Buffer.from([127, 0, 0, 1])],
      isCa: false,
      pathLength: undefined,
      keyUsage: { critical: true, names: new Set(['digitalSignature']) },
      extKeyUsage: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
      authorityKeyId: root.subjectKeyId,
      nameConstraints: undefined,
      directoryNames: [],
      otherForms: [],
      unknownCritical: ['1.2.3'],
      signatureAlgorithm: { name: 'ecdsa-sha256' },
    });
    expect(formatName(certificate.subject)).toBe('CN=all');
  });

  it('reads a CA, and a certificate without any extension', () => {
    expect(parseCertificate(root.der)).toMatchObject({ isCa: true, pathLength: 3, subjectKeyId: root.subjectKeyId });
    const old = parseCertificate(issue(undefined, { version: 1 }).der);
    expect(old).toMatchObject({ version: 1, isCa: undefined, keyUsage: undefined, uris: [], extensions: [] });
  });

  it('reads years after 2049', () => {
    const notAfter = Date.parse('9999-12-31T23:59:59Z');
    expect(parseCertificate(issue(undefined, { notAfter }).der).notAfter).toBe(notAfter);
  });

  const repeated = extension('2.5.29.15', true, bitString(Uint8Array.of(0x80), 7));
  const none = { usage: undefined, purposes: undefined, subjectKeyId: undefined, authorityKeyId: undefined };
  const bare: TestSpec = { ...none, basicConstraints: null };
  const twoParameters = {
    ...leaf.key,
    spki: sequence(sequence(objectIdentifier('1.2.3'), integer(1), integer(2)), bitString(Buffer.of(4))),
  };
  const tampered = (spec: TestSpec): Buffer => issue(root, spec).der;
  it.each<[string, Buffer, RegExp]>([
    ['trailing bytes', Buffer.concat([leaf.der, Buffer.of(0)]), /certificate has trailing bytes/],
    ['nothing', Buffer.of(), /missing or cut short/],
    ['half', leaf.der.subarray(0, 200), /cut short/],
    ['an extension that is there twice', tampered({ extensions: [repeated] }), /2\.5\.29\.15 is there twice/],
    ['a negative serial number', tampered({ serialNumber: -1n }), /serialNumber is negative/],
    ['a long serial number', tampered({ serialNumber: 2n ** 168n }), /serialNumber is too long/],
    ['a version that does not exist', tampered({ version: 5 }), /version is not one of/],
    ['version 1 with a body of version 3', tampered({ changeTbs: withoutVersion }), /tbsCertificate has trailing/],
    ['an algorithm that nobody signed', swapAlgorithm(leaf.der), /two signature algorithms differ/],
    [
      'a unique identifier that is no bit string',
      tampered({ changeTbs: withUniqueId }),
      /subjectUniqueID is not a well/,
    ],
    [
      'an authority key identifier with more',
      tampered({ authorityKeyId: undefined, extensions: [extension('2.5.29.35', false, sequence(integer(1)))] }),
      /authorityKeyIdentifier has trailing/,
    ],
    ['a key algorithm with two parameters', tampered({ key: twoParameters }), /public key algorithm has trailing/],
    ['a signature algorithm without identifier', withoutAlgorithm(leaf.der), /signatureAlgorithm has an unexpected/],
    ['no alternative names in the SAN', tampered({ names: [] }), /subjectAltName is missing/],
    ['a SAN that is not ASCII', tampered({ names: [[6, Buffer.from('spiffe://td/ä')]] }), /does not allow/],
    ['an IP address of 5 bytes', tampered({ names: [[7, Buffer.alloc(5)]] }), /IP address/],
    [
      'basic constraints with more',
      tampered({ basicConstraints: sequence(boolean(true), integer(1), integer(2)) }),
      /trailing/,
    ],
    ['a negative path length', tampered({ basicConstraints: sequence(boolean(true), integer(-1)) }), /out of range/],
    [
      'an empty key usage',
      tampered({ usage: undefined, extensions: [extension('2.5.29.15', true, encode(3))] }),
      /keyUsage/,
    ],
    ['no purposes', tampered({ purposes: [] }), /extKeyUsage is missing/],
    ['an empty list of extensions', tampered(bare), /extension is missing/],
    [
      'a subject that is not text',
      tampered({ subject: sequence(encode(0x31, sequence(objectIdentifier('2.5.4.3'), integer(1)))) }),
      /string/,
    ],
  ])('refuses %s', (_name, der, message) => {
    expect(() => parseCertificate(der)).toThrow(invalid(message));
  });

  it('throws nothing but its own error, whatever it reads', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const der = Buffer.from(bytes);
        for (const input of [der, sequence(der), sequence(sequence(der), sequence(), encode(3, Buffer.of(0)))]) {
          expect(() => parseCertificate(input)).toThrow(invalid(/./));
        }
      }),
    );
  });
});

function withoutVersion(tbs: Buffer): Buffer {
  return sequence(tbs.subarray(tbs.indexOf(Buffer.from('a003020102', 'hex')) + 5));
}

/** Version 2 has no extensions; the unique identifier stands where they would. */
function withUniqueId(tbs: Buffer): Buffer {
  const outer = new DerReader(tbs).sequence('tbs');
  const parts: Buffer[] = [];
  while (!outer.atEnd) parts.push(outer.element('part').der);
  return sequence(...parts.slice(0, -1), encode(0x82, Buffer.of(9, 1)), ...parts.slice(-1));
}

function swapAlgorithm(der: Buffer): Buffer {
  const changed = Buffer.from(der);
  const algorithm = Buffer.from('2a8648ce3d040302', 'hex');
  const at = changed.lastIndexOf(algorithm);
  changed[at + 7] = 3;
  return changed;
}

/** With an OCTET STRING where the object identifier of the signature algorithm stands. */
function withoutAlgorithm(der: Buffer): Buffer {
  return Buffer.from(der.toString('hex').replaceAll('300a06082a8648ce3d0403', '300a04082a8648ce3d0403'), 'hex');
}

/** A change of a few bytes somewhere in a certificate. */
const mutation = fc.record({
  at: fc.nat(leaf.der.length - 1),
  cut: fc.nat(2),
  put: fc.uint8Array({ maxLength: 2 }),
});

describe('beside node:crypto', () => {
  const mutate = ({ at, cut, put }: { at: number; cut: number; put: Uint8Array }): Buffer =>
    Buffer.concat([leaf.der.subarray(0, at), put, leaf.der.subarray(at + cut)]);
  const read = <T>(parse: () => T): T | undefined => {
    try {
      return parse();
    } catch (error) {
      if (error instanceof RangeError || error instanceof TypeError) throw error;
      return undefined;
    }
  };

  it('reads a changed certificate as node does, or not at all, and believes nothing that node does not', () => {
    const issuer = parseCertificate(root.der);
    const issuerKey = new X509Certificate(root.der).publicKey;
    fc.assert(
      fc.property(mutation, (change) => {
        const der = mutate(change);
        const ours = read(() => parseCertificate(der));
        if (ours === undefined) return;
        const theirs = read(() => new X509Certificate(der));
        if (isSignedBy(ours, issuer)) expect(theirs?.verify(issuerKey)).toBe(true);
        if (theirs === undefined) return;
        expect(BigInt(`0x${theirs.serialNumber}`)).toBe(ours.serialNumber);
        expect(Date.parse(theirs.validFrom)).toBe(ours.notBefore);
        expect(Date.parse(theirs.validTo)).toBe(ours.notAfter);
        expect(theirs.ca).toBe(ours.isCa === true);
      }),
      { numRuns: 4000 },
    );
  });

  it.each<[TestKeyKind, TestAlgorithmName | undefined]>([
    ['P-256', 'ecdsa-sha256'],
    ['P-256', 'ecdsa-sha512'],
    ['P-384', 'ecdsa-sha384'],
    ['P-521', 'ecdsa-sha512'],
    ['rsa-2048', 'rsa-sha256'],
    ['rsa-3072', 'rsa-sha512'],
    ['rsa-2048', 'rsa-pss-sha256'],
    ['ed25519', 'ed25519'],
  ])('believes a signature of %s with %s', (kind, algorithm) => {
    const { der } = issueCa(undefined, { key: newTestKey(kind), ...(algorithm && { algorithm }) });
    const certificate = parseCertificate(der);
    expect(new X509Certificate(der).verify(new X509Certificate(der).publicKey)).toBe(true);
    expect(isSignedBy(certificate, certificate)).toBe(true);
  });
});

describe('isSignedBy', () => {
  it.each<[TestKeyKind, TestAlgorithmName]>([
    ['P-256', 'ecdsa-sha1'],
    ['rsa-2048', 'rsa-sha1'],
    ['rsa-2048', 'rsa-md5'],
  ])('does not believe %s with %s, though the signature is right', (kind, algorithm) => {
    const { der } = issueCa(undefined, { key: newTestKey(kind), algorithm });
    const certificate = parseCertificate(der);
    expect(new X509Certificate(der).verify(new X509Certificate(der).publicKey)).toBe(true);
    expect(isSignedBy(certificate, certificate)).toBe(false);
  });

  it('does not let a key of one kind check a signature of another', () => {
    const rsa = parseCertificate(issueCa(undefined, { key: newTestKey('rsa-2048') }).der);
    const certificate = parseCertificate(leaf.der);
    expect(isSignedBy(certificate, rsa)).toBe(false);
    // An ECDSA signature under the name of RSA: node would choose the algorithm by the key, and find it right.
    const misnamed = parseCertificate(issueSvid(root, 'spiffe://td/a', { algorithm: 'rsa-sha256' }).der);
    expect(isSignedBy(misnamed, parseCertificate(root.der))).toBe(false);
    expect(isSignedBy(certificate, parseCertificate(root.der))).toBe(true);
  });
});

describe('parseCertificates', () => {
  it('cuts concatenated certificates apart', () => {
    expect(splitCertificates(Buffer.concat([leaf.der, root.der]))).toEqual([leaf.der, root.der]);
    expect(parseCertificates(Buffer.concat([leaf.der, root.der])).map(({ der }) => der)).toEqual([leaf.der, root.der]);
    expect(parseCertificates(Buffer.of())).toEqual([]);
  });

  it('refuses what is left over', () => {
    expect(() => parseCertificates(Buffer.concat([leaf.der, Buffer.of(0)]))).toThrow(invalid(/cut short/));
    expect(() => splitCertificates(octetString(Buffer.of(1)))).toThrow(invalid(/unexpected type/));
  });
});

describe('spiffeIdOf', () => {
  it('reads the one URI', () => {
    expect(spiffeIdOf(parseCertificate(leaf.der))).toBe('spiffe://td/a');
    expect(() => spiffeIdOf(parseCertificate(root.der))).toThrow(/no URI SAN/);
  });
});
