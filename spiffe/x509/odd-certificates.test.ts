import { describe, expect, it } from 'vitest';
import {
  extension,
  issue,
  issueCa,
  issueSvid,
  newTestKey,
  TEST_NOW,
  type TestCertificate,
  type TestKey,
  type TestKeyKind,
  type TestSpec,
  testName,
} from '../../test/support/pki.ts';
import { parseCertificate } from './certificate.ts';
import { DerReader } from './der.ts';
import { bitString, boolean, encode, integer, objectIdentifier, octetString, sequence, setOf } from './der-writer.ts';
import { verifyX509Svid } from './verify.ts';

// Certificates that are odd in one way, as they come out of other people's tools or attacks.

const ID = 'spiffe://td/p';
const root = issueCa(undefined, { subject: 'root' });
const svid = (spec: TestSpec = {}): TestCertificate => issueSvid(root, ID, spec);
const verify = (chain: readonly TestCertificate[], roots: readonly TestCertificate[] = [root]): string =>
  verifyX509Svid(
    chain.map(({ der }) => der),
    () => roots.map(({ der }) => der),
    TEST_NOW,
  ).id;

/** Puts bytes into the signed part, before the extensions at its end. */
const beforeExtensions =
  (...bytes: readonly Buffer[]) =>
  (tbs: Buffer): Buffer => {
    const parts: Buffer[] = [];
    for (const reader = new DerReader(tbs).sequence('tbs'); !reader.atEnd; ) parts.push(reader.element('part').der);
    return sequence(...parts.slice(0, -1), ...bytes, ...parts.slice(-1));
  };
const contentOf = (tbs: Buffer): Buffer => tbs.subarray(2 + ((tbs[1] ?? 0) < 0x80 ? 0 : (tbs[1] ?? 0) & 0x7f));
const uniqueId = (tag: number): Buffer => encode(0x80 | tag, Buffer.of(0, 1, 2));
const withVersionOf = (tbs: Buffer, version: number): Buffer => {
  const body = Buffer.from(contentOf(tbs));
  body[4] = version - 1;
  return sequence(body);
};
const usage = (...bytes: readonly number[]): TestSpec => ({
  usage: undefined,
  extensions: [extension('2.5.29.15', true, encode(3, Buffer.from(bytes)))],
});
const constraints = (...parts: readonly Buffer[]): TestSpec => ({ basicConstraints: sequence(...parts) });
const name = (tag: number, value: Buffer): Buffer =>
  sequence(setOf(sequence(objectIdentifier('2.5.4.3'), encode(tag, value))));
const critical = (oid: string, hex: string): TestSpec => ({
  extensions: [extension(oid, true, Buffer.from(hex, 'hex'))],
});

const policies = (hex: string): TestSpec => ({
  extensions: [extension('2.5.29.32', false, Buffer.from(hex, 'hex'))],
});

describe('a leaf is accepted with', () => {
  it.each<[string, TestSpec]>([
    ['serial number 0', { serialNumber: 0n }],
    ['a serial number of 20 bytes and a sign byte', { serialNumber: 2n ** 160n - 1n }],
    ['unique identifiers', { changeTbs: beforeExtensions(uniqueId(1), uniqueId(2)) }],
    ['times that are GeneralizedTime before 2050', { changeTbs: withGeneralizedTimes }],
    ['cA FALSE written out', constraints(boolean(false))],
    ['a path length without cA, which says nothing', constraints(integer(0))],
    ['key usage with zero bits at its end', usage(0, 0x80)],
    ['key usage of two bytes', usage(7, 0x80, 0x80)],
    ['a subject in BMPString', { subject: name(0x1e, Buffer.from([0, 0x61])) }],
    ['a subject in T61String', { subject: name(0x14, Buffer.of(0xe4)) }],
    ['an authority key identifier of issuer and serial number', authorityKey(issuerAndSerial())],
    ['an authority key identifier that fits nobody', { authorityKeyId: Buffer.from('nobody') }],
    ['no key identifiers', { subjectKeyId: undefined, authorityKeyId: undefined }],
    ['critical key identifiers', { subjectKeyId: undefined, ...critical('2.5.29.14', '040101') }],
    ['critical policies', critical('2.5.29.32', '300830060604551d2000')],
    ['a policy with a qualifier', policies('3017301506022a03300f300d06082b06010505070201160178')],
    ['a path that is case-sensitive', { names: [[6, ID]] }],
  ])('%s', (_what, spec) => {
    expect(verify([svid(spec)])).toBe(ID);
  });
});

describe('a leaf is refused with', () => {
  const uri = (bytes: string): TestSpec => ({ names: [[6, Buffer.from(bytes, 'latin1')]] });
  it.each<[string, TestSpec, RegExp]>([
    ['extensions in version 2', { changeTbs: (tbs) => withVersionOf(tbs, 2) }, /tbsCertificate has trailing bytes/],
    ['version 1 written out', { changeTbs: (tbs) => withVersionOf(tbs, 1) }, /version is not one of/],
    [
      'unique identifiers in the wrong order',
      { changeTbs: beforeExtensions(uniqueId(2), uniqueId(1)) },
      /unexpected type/,
    ],
    ['bytes after its extensions', { changeTbs: (tbs) => sequence(contentOf(tbs), Buffer.of(5, 0)) }, /trailing bytes/],
    ['key usage without any bit', usage(0), /must have 'digitalSignature'/],
    ['key usage without any bit, in one byte', usage(0, 0), /must have 'digitalSignature'/],
    ['key usage whose unused bits are set', usage(7, 0x81), /keyUsage is not a well-formed BIT STRING/],
    [
      'criticality that is neither 00 nor ff',
      { extensions: [sequence(objectIdentifier('1.2.3'), encode(1, Buffer.of(1)), octetString(Buffer.of()))] },
      /well-formed BOOLEAN/,
    ],
    ['cA that is neither 00 nor ff', constraints(encode(1, Buffer.of(1))), /well-formed BOOLEAN/],
    ['a NUL in the URI', uri('spiffe://td/p\0'), /path segment characters/],
    ['a byte beyond ASCII in the URI', uri('spiffe://td/p\xc3\xa9'), /characters that its type does not allow/],
    [
      'a URI under a constructed tag beside the ID',
      {
        names: [
          [6, ID],
          [0x26, encode(0x16, Buffer.from('spiffe://td/q'))],
        ],
      },
      /subjectAltName has an unexpected type/,
    ],
    [
      'a URI under a constructed tag alone',
      { names: [[0x26, encode(0x16, Buffer.from(ID))]] },
      /subjectAltName has an unexpected type/,
    ],
    [
      'an other name under a primitive tag',
      {
        names: [
          [6, ID],
          [0, 'x'],
        ],
      },
      /subjectAltName has an unexpected type/,
    ],
    [
      'a name of a form that does not exist',
      {
        names: [
          [6, ID],
          [9, 'x'],
        ],
      },
      /subjectAltName has an unexpected type/,
    ],
    [
      'a directory name that is none',
      {
        names: [
          [6, ID],
          [0x24, 'x'],
        ],
      },
      /cut short|unexpected type/,
    ],
    [
      'bytes after its names',
      {
        names: undefined,
        extensions: [
          extension('2.5.29.17', false, Buffer.concat([sequence(encode(0x86, Buffer.from(ID))), Buffer.of(0)])),
        ],
      },
      /trailing bytes/,
    ],
    [
      'a subject in UniversalString',
      { subject: name(0x1c, Buffer.from([0, 0, 0, 0x61])) },
      /not a string of a supported type/,
    ],
    ['a subject in BMPString with half a character', { subject: name(0x1e, Buffer.of(0)) }, /characters that its type/],
    ['a subject in UTF8String that is not UTF-8', { subject: name(0x0c, Buffer.of(0xff)) }, /characters that its type/],
    ['critical policies that are no list', critical('2.5.29.32', '0500'), /certificatePolicies has an unexpected type/],
    ['critical policies without content', critical('2.5.29.32', ''), /certificatePolicies is missing/],
    ['policies without a policy', policies('3000'), /certificate policy is missing/],
    ['a policy without a name', policies('30023000'), /certificate policy is missing/],
    ['a policy with more than qualifiers', policies('3008300606022a030500'), /certificate policy has trailing bytes/],
    ['one policy twice', policies('300c300406022a03300406022a03'), /certificate policy 1\.2\.3 is there twice/],
    ['critical policy mappings', critical('2.5.29.33', '3000'), /unknown critical extension \(2\.5\.29\.33\)/],
    ['a critical CRL distribution point', critical('2.5.29.31', '3000'), /unknown critical extension \(2\.5\.29\.31\)/],
    [
      'an extension that is there twice',
      { extensions: [extension('1.2.3', false, Buffer.of()), extension('1.2.3', true, Buffer.of())] },
      /1\.2\.3 is there twice/,
    ],
  ])('%s', (_what, spec, message) => {
    expect(() => verify([svid(spec)])).toThrow(
      expect.objectContaining({ name: 'SpiffeError', message: expect.stringMatching(message) }),
    );
  });
});

function withGeneralizedTimes(tbs: Buffer): Buffer {
  const body = contentOf(tbs);
  const at = body.indexOf(Buffer.from('301e170d', 'hex'));
  const [from, to] = [body.subarray(at + 4, at + 17), body.subarray(at + 19, at + 32)];
  const generalized = (utc: Buffer): Buffer => encode(0x18, Buffer.from(`20${utc.toString('latin1')}`));
  return sequence(body.subarray(0, at), sequence(generalized(from), generalized(to)), body.subarray(at + 32));
}

function issuerAndSerial(): Buffer {
  return Buffer.concat([encode(0xa1, encode(0xa4, testName('root'))), encode(0x82, Buffer.of(1))]);
}

function authorityKey(content: Buffer): TestSpec {
  return { authorityKeyId: undefined, extensions: [extension('2.5.29.35', false, sequence(content))] };
}

describe('keys', () => {
  const kinds = (all: readonly TestKeyKind[]): TestKeyKind[] => [...all];

  it.each(kinds(['P-256', 'P-384', 'P-521', 'rsa-2048', 'rsa-3072', 'ed25519']))('%s may be used anywhere', (kind) => {
    const key = newTestKey(kind);
    const own = issueCa(undefined, { key });
    const lower = issueCa(own, { key, subject: 'lower' });
    expect(verify([issueSvid(lower, ID, { key }), lower], [own])).toBe(ID);
  });

  it.each([
    ['secp256k1', /unsupported curve/],
    ['ed448', /unsupported kind/],
    ['dsa-2048', /unsupported kind/],
    ['rsa-1024', /shorter than 2048 bits/],
    ['rsa-pss-2048', /unsupported kind/],
  ] as const)('%s may be used nowhere', (kind, message) => {
    const key = newTestKey(kind);
    const own = issueCa(undefined, { key });
    const lower = issueCa(root, { key });
    expect(() => verify([svid({ key })])).toThrow(message);
    expect(() => verify([issueSvid(own, ID)], [own])).toThrow(message);
    expect(() => verify([issueSvid(lower, ID), lower])).toThrow(message);
  });

  const { privateKey, spki } = newTestKey('rsa-2048');
  const modulus = BigInt(
    `0x${Buffer.from(String(privateKey.export({ format: 'jwk' }).n), 'base64url').toString('hex')}`,
  );
  const rsa = (n: bigint, e: bigint): TestKey => {
    const algorithm = sequence(objectIdentifier('1.2.840.113549.1.1.1'), encode(5));
    return { privateKey, spki: sequence(algorithm, bitString(sequence(integer(n), integer(e)))) };
  };

  it('are told apart by their numbers as node:crypto writes them', () => {
    expect(rsa(modulus, 65_537n).spki).toEqual(spki);
  });

  it.each([
    ['1, by which everybody can sign', 1n, /not an odd number/],
    ['an even number', 65_536n, /not an odd number/],
    ['more than 31 bits', 2n ** 31n + 1n, /longer than 31 bits/],
    // One check by a key of 3072 bits with such an exponent takes 6 ms, and one chain asks for 32 checks.
    ['as long as the modulus', modulus - 2n, /longer than 31 bits/],
    ['0', 0n, /not positive/],
    ['negative', -3n, /not positive/],
  ])('of RSA are refused with an exponent of %s', (_what, exponent, message) => {
    const key = rsa(modulus, exponent);
    expect(() => verify([svid({ key })])).toThrow(message);
    const lower = issueCa(root, { key });
    expect(() => verify([issueSvid(lower, ID), lower])).toThrow(message);
  });

  it.each([3n, 17n, 2n ** 31n - 1n])('of RSA are accepted with an exponent of %d', (exponent) => {
    expect(verify([svid({ key: rsa(modulus, exponent) })])).toBe(ID);
  });

  it('are refused when the point is not on its curve', () => {
    const key = newTestKey();
    const off = Buffer.from(key.spki);
    off[off.length - 1] = (off.at(-1) ?? 0) ^ 1;
    expect(() => verify([svid({ key: { ...key, spki: off } })])).toThrow(/unacceptable key: public key is not valid/);
  });

  it('are refused when the point is compressed', () => {
    const key = newTestKey();
    const point = key.spki.subarray(-65);
    const half = Buffer.concat([Buffer.of(2 + ((point.at(-1) ?? 0) & 1)), point.subarray(1, 33)]);
    const algorithm = sequence(objectIdentifier('1.2.840.10045.2.1'), objectIdentifier('1.2.840.10045.3.1.7'));
    expect(() => verify([svid({ key: { ...key, spki: sequence(algorithm, bitString(half)) } })])).toThrow(
      /not an uncompressed point/,
    );
  });
});

describe('a certificate with very many', () => {
  // What is quadratic in these numbers takes minutes.
  const many = <T>(make: (index: number) => T): T[] => Array.from({ length: 100_000 }, (_none, index) => make(index));

  it('extensions is read', () => {
    const extensions = [Buffer.concat(many((index) => extension(`1.2.3.${index}`, false, Buffer.of())))];
    expect(parseCertificate(issue(root, { extensions }).der).extensions.length).toBeGreaterThan(100_000);
  });

  it('names is read', () => {
    const names = Buffer.concat(many((index) => encode(0x82, Buffer.from(`host-${index}.test`))));
    const extensions = [extension('2.5.29.17', false, sequence(names))];
    expect(parseCertificate(issue(root, { extensions }).der).dnsNames).toHaveLength(100_000);
  });
});
