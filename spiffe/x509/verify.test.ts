import { describe, expect, it } from 'vitest';
import {
  extension,
  issue,
  issueCa,
  issueSvid,
  newTestKey,
  TEST_HOUR,
  TEST_NOW,
  type TestCertificate,
  type TestSpec,
  testName,
} from '../../test/support/pki.ts';
import { encode, sequence } from './der-writer.ts';
import { verifyChainToRoots, verifyX509Svid } from './verify.ts';

const ID = 'spiffe://td/p';
const root = issueCa(undefined, { subject: 'root', names: [[6, 'spiffe://td']] });
const otherRoot = issueCa(undefined, { subject: 'other root' });
const intermediate = issueCa(root, { subject: 'intermediate' });

interface Vector {
  readonly id: string;
  readonly title: string;
  /** What the peer sends. */
  readonly chain: readonly (TestCertificate | Buffer)[];
  /** By trust domain; the good root for `td` unless said otherwise. */
  readonly bundles?: Readonly<Record<string, readonly TestCertificate[]>>;
  readonly now?: number;
  /** The identity, or what is wrong. */
  readonly verdict: string | RegExp;
}

const good = (spec: TestSpec = {}): TestCertificate => issueSvid(root, ID, spec);
const leafOf = (uri: string): TestCertificate => issueSvid(root, uri);
const withNames = (...names: [number, string | Buffer][]): TestCertificate => issue(root, { names });
/** A leaf below the good root with one CA in between. */
const below = (spec: TestSpec): TestCertificate[] => {
  const ca = issueCa(root, spec);
  return [issueSvid(ca, ID), ca];
};
/** A leaf below a root of its own. */
const under = (spec: TestSpec): Pick<Vector, 'chain' | 'bundles'> => {
  const ca = issueCa(undefined, spec);
  return { chain: [issueSvid(ca, ID)], bundles: { td: [ca] } };
};

const rsa1024 = newTestKey('rsa-1024');
const ed25519 = newTestKey('ed25519');
const rsaRoot = issueCa(undefined, { subject: 'RSA root', key: newTestKey('rsa-2048') });
const strictRoot = issueCa(undefined, { subject: 'strict root', pathLength: 0 });
const belowStrictRoot = issueCa(strictRoot, { subject: 'below strict root' });
const constraint = (host: string): Buffer =>
  extension('2.5.29.30', true, sequence(encode(0xa0, sequence(encode(0x86, Buffer.from(host))))));
const constrainedRoot = issueCa(undefined, { subject: 'constrained root', extensions: [constraint('td')] });
const unknownExtension = extension('1.2.3.4', true, Buffer.from([5, 0]));
const flipLastBit = (bytes: Buffer): Buffer => {
  const copy = Buffer.from(bytes);
  copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
  return copy;
};

/** Rows whose number has a letter are parts of, or additions to, one row of the conformance checklist. */
const VECTORS: readonly Vector[] = [
  { id: 'V-X-01', title: 'leaf, root', chain: [good()], verdict: ID },
  { id: 'V-X-02', title: 'leaf, intermediate, root', chain: [issueSvid(intermediate, ID), intermediate], verdict: ID },
  {
    id: 'V-X-03',
    title: 'the bundle holds the intermediate only',
    chain: [issueSvid(intermediate, ID), intermediate],
    bundles: { td: [intermediate] },
    verdict: ID,
  },
  { id: 'V-X-04', title: 'empty chain', chain: [], verdict: /^empty/ },
  { id: 'V-X-06', title: 'no bundle', chain: [good()], bundles: { other: [root] }, verdict: /^no X.509 bundle/ },
  { id: 'V-X-07', title: 'empty bundle', chain: [good()], bundles: { td: [] }, verdict: /unknown authority$/ },
  {
    id: 'V-X-08',
    title: 'signed by the CA of another domain, both bundles loaded',
    chain: [issueSvid(otherRoot, ID)],
    bundles: { td: [root], other: [otherRoot] },
    verdict: /unknown authority/,
  },
  { id: 'V-X-09', title: 'another CA', chain: [issueSvid(otherRoot, ID)], verdict: /unknown authority/ },
  {
    id: 'V-X-09b',
    title: 'another CA of the same name',
    chain: [issueSvid(issueCa(undefined, { subject: 'root' }), ID)],
    verdict: /wrong signature/,
  },
  { id: 'V-X-10', title: 'scheme', chain: [leafOf('sparfe://td/p')], verdict: /scheme/ },
  { id: 'V-X-11', title: 'DNS name only', chain: [withNames([2, 'td'])], verdict: /no URI SAN/ },
  { id: 'V-X-12', title: 'ID in the common name', chain: [issue(root, { subject: ID })], verdict: /no URI SAN/ },
  { id: 'V-X-13', title: 'two IDs', chain: [withNames([6, ID], [6, 'spiffe://td/q'])], verdict: /more than one/ },
  { id: 'V-X-14', title: 'ID and URL', chain: [withNames([6, ID], [6, 'https://x'])], verdict: /more than one/ },
  { id: 'V-X-15', title: 'same ID twice', chain: [withNames([6, ID], [6, ID])], verdict: /more than one/ },
  {
    id: 'V-X-16',
    title: 'names of all kinds',
    chain: [withNames([6, ID], [2, 'web'], [7, Buffer.from([10, 0, 0, 1])], [1, 'a@b.c'])],
    verdict: ID,
  },
  { id: 'V-X-17', title: 'dot segment', chain: [leafOf('spiffe://td/a/../b')], verdict: /dot segments/ },
  { id: 'V-X-18', title: 'percent', chain: [leafOf('spiffe://td/a%2Fb')], verdict: /segment characters/ },
  { id: 'V-X-19', title: 'empty fragment', chain: [leafOf('spiffe://td/a#')], verdict: /segment characters/ },
  { id: 'V-X-20', title: 'upper case', chain: [leafOf('spiffe://TD/a')], verdict: /trust domain characters/ },
  { id: 'V-X-21', title: 'no path', chain: [leafOf('spiffe://td')], verdict: /must have a path/ },
  { id: 'V-X-22', title: 'trailing slash', chain: [leafOf('spiffe://td/')], verdict: /trailing slash/ },
  { id: 'V-X-23', title: 'CA as leaf', chain: [issueCa(root, { names: [[6, ID]] })], verdict: /CA flag/ },
  {
    id: 'V-X-24',
    title: 'leaf with keyCertSign',
    chain: [good({ usage: ['digitalSignature', 'keyCertSign'] })],
    verdict: /keyCertSign/,
  },
  {
    id: 'V-X-25',
    title: 'leaf with cRLSign',
    chain: [good({ usage: ['digitalSignature', 'cRLSign'] })],
    verdict: /cRLSign/,
  },
  { id: 'V-X-26', title: 'leaf without basic constraints', chain: [good({ basicConstraints: null })], verdict: ID },
  {
    id: 'V-X-27',
    title: 'leaf without key usage',
    chain: [good({ usage: undefined })],
    verdict: /must have key usage/,
  },
  { id: 'V-X-28', title: 'key usage not critical', chain: [good({ usageCritical: false })], verdict: ID },
  {
    id: 'V-X-29',
    title: 'no digitalSignature',
    chain: [good({ usage: ['keyAgreement'] })],
    verdict: /digitalSignature/,
  },
  {
    id: 'V-X-30',
    title: 'all three usages',
    chain: [good({ usage: ['digitalSignature', 'keyEncipherment', 'keyAgreement'] })],
    verdict: ID,
  },
  { id: 'V-X-31', title: 'no extended key usage', chain: [good({ purposes: undefined })], verdict: ID },
  { id: 'V-X-32', title: 'serverAuth only', chain: [good({ purposes: ['1.3.6.1.5.5.7.3.1'] })], verdict: ID },
  { id: 'V-X-33', title: 'critical extended key usage', chain: [good({ purposesCritical: true })], verdict: ID },
  { id: 'V-X-34', title: 'empty subject, critical SAN', chain: [good({ subject: '' })], verdict: ID },
  {
    id: 'V-X-35',
    title: 'empty subject, SAN not critical',
    chain: [good({ subject: '', namesCritical: false })],
    verdict: ID,
  },
  { id: 'V-X-36', title: 'expired', chain: [good({ notAfter: TEST_NOW - 1000 })], verdict: /^certificate has expired/ },
  { id: 'V-X-36b', title: 'in its last second', chain: [good({ notAfter: TEST_NOW })], verdict: ID },
  {
    id: 'V-X-37',
    title: 'not valid yet',
    chain: [good({ notBefore: TEST_NOW + 1000 })],
    verdict: /^certificate is not valid yet/,
  },
  { id: 'V-X-37b', title: 'in its first second', chain: [good({ notBefore: TEST_NOW })], verdict: ID },
  { id: 'V-X-38', title: 'root expired', ...under({ notAfter: TEST_NOW - 1000 }), verdict: /issuer has expired/ },
  {
    id: 'V-X-38b',
    title: 'root not valid yet',
    ...under({ notBefore: TEST_NOW + 1000 }),
    verdict: /issuer is not valid yet/,
  },
  {
    id: 'V-X-39',
    title: 'intermediate expired',
    chain: below({ notAfter: TEST_NOW - 1000 }),
    verdict: /issuer has expired/,
  },
  {
    id: 'V-X-40',
    title: 'intermediate not a CA',
    chain: below({ ca: false, usage: ['keyCertSign'] }),
    verdict: /not a CA/,
  },
  { id: 'V-X-40b', title: 'no basic constraints', chain: below({ basicConstraints: null }), verdict: /not a CA/ },
  { id: 'V-X-40c', title: 'version 1 root', ...under({ version: 1 }), verdict: /not a CA/ },
  {
    id: 'V-X-40d',
    title: 'workload as a CA',
    chain: [issueSvid(good({ subject: 'w' }), ID), good({ subject: 'w' })],
    verdict: /not a CA/,
  },
  {
    id: 'V-X-41',
    title: 'intermediate without keyCertSign',
    chain: below({ usage: ['cRLSign'] }),
    verdict: /may not sign/,
  },
  {
    id: 'V-X-41b',
    title: 'intermediate without key usage',
    chain: below({ usage: undefined }),
    verdict: /no key usage/,
  },
  { id: 'V-X-41c', title: 'root without keyCertSign', ...under({ usage: ['cRLSign'] }), verdict: /may not sign/ },
  { id: 'V-X-41d', title: 'root without key usage', ...under({ usage: undefined }), verdict: ID },
  {
    id: 'V-X-42',
    title: 'root with path length 0, one intermediate',
    chain: [issueSvid(belowStrictRoot, ID), belowStrictRoot],
    bundles: { td: [strictRoot] },
    verdict: /no chain of this length/,
  },
  { id: 'V-X-42b', title: 'root with path length 0', ...under({ pathLength: 0 }), verdict: ID },
  {
    id: 'V-X-43',
    title: 'intermediate of another domain',
    chain: below({ names: [[6, 'spiffe://other']] }),
    verdict: ID,
  },
  { id: 'V-X-44', title: 'intermediate with a path', chain: below({ names: [[6, 'spiffe://td/ca']] }), verdict: ID },
  {
    id: 'V-X-45',
    title: 'broken signature',
    chain: [good({ changeSignature: flipLastBit })],
    verdict: /wrong signature/,
  },
  {
    id: 'V-X-46',
    title: 'name chaining',
    chain: [good({ issuerName: testName('nobody') })],
    verdict: /unknown authority/,
  },
  {
    id: 'V-X-47',
    title: 'unknown critical extension',
    chain: [good({ extensions: [unknownExtension] })],
    verdict: /unknown critical/,
  },
  {
    id: 'V-X-47b',
    title: 'the same on a CA',
    chain: below({ extensions: [unknownExtension] }),
    verdict: /unknown critical/,
  },
  {
    id: 'V-X-47c',
    title: 'unknown extension that is not critical',
    chain: [good({ extensions: [extension('1.2.3.4', false, Buffer.of(1))] })],
    verdict: ID,
  },
  {
    id: 'V-X-48',
    title: 'name constraint that the leaf keeps',
    chain: [issueSvid(constrainedRoot, ID)],
    bundles: { td: [constrainedRoot] },
    verdict: /name constraints/,
  },
  {
    id: 'V-X-49',
    title: 'name constraint that the leaf breaks',
    chain: [issueSvid(constrainedRoot, 'spiffe://evil/p')],
    bundles: { evil: [constrainedRoot] },
    verdict: /name constraints/,
  },
  {
    id: 'V-X-50',
    title: 'unordered, doubled and foreign certificates',
    chain: ((leaf) => [leaf, leaf, otherRoot, root, intermediate, intermediate])(issueSvid(intermediate, ID)),
    verdict: ID,
  },
  {
    id: 'V-X-51',
    title: '17 certificates',
    chain: [good(), ...Array<TestCertificate>(16).fill(root)],
    verdict: /more than 16/,
  },
  { id: 'V-X-51b', title: '16 certificates', chain: [good(), ...Array<TestCertificate>(15).fill(root)], verdict: ID },
  {
    id: 'V-X-52',
    title: 'ECDSA with SHA-1',
    chain: [good({ algorithm: 'ecdsa-sha1' })],
    verdict: /unsupported signature/,
  },
  {
    id: 'V-X-52b',
    title: 'RSA with SHA-1',
    chain: [issueSvid(rsaRoot, ID, { algorithm: 'rsa-sha1' })],
    bundles: { td: [rsaRoot] },
    verdict: /unsupported signature/,
  },
  {
    id: 'V-X-52c',
    title: 'RSA with MD5',
    chain: [issueSvid(rsaRoot, ID, { algorithm: 'rsa-md5' })],
    bundles: { td: [rsaRoot] },
    verdict: /unsupported signature/,
  },
  { id: 'V-X-53', title: 'RSA-1024 leaf', chain: [good({ key: rsa1024 })], verdict: /1024 bits/ },
  { id: 'V-X-53b', title: 'RSA-1024 root', ...under({ key: rsa1024 }), verdict: /1024 bits/ },
  {
    id: 'V-X-53c',
    title: 'leaf on secp256k1',
    chain: [good({ key: newTestKey('secp256k1') })],
    verdict: /unsupported curve/,
  },
  { id: 'V-X-54', title: 'Ed25519 leaf', chain: [good({ key: ed25519 })], verdict: ID },
  { id: 'V-X-54b', title: 'Ed25519 root', ...under({ key: ed25519 }), verdict: ID },
  {
    id: 'V-X-60',
    title: 'trailing garbage',
    chain: [Buffer.concat([good().der, Buffer.of(0)])],
    verdict: /trailing bytes/,
  },
  { id: 'V-X-63', title: 'a later now', chain: [good()], now: TEST_NOW + TEST_HOUR + 1000, verdict: /has expired/ },
  { id: 'V-X-65', title: 'no bundle for the client', chain: [good()], bundles: {}, verdict: /^no X.509 bundle/ },
];

function run({ chain, bundles = { td: [root] }, now = TEST_NOW }: Vector): string {
  const ders = chain.map((one) => (Buffer.isBuffer(one) ? one : one.der));
  const { id, path, leaf } = verifyX509Svid(ders, (td) => bundles[td]?.map(({ der }) => der), now);
  expect(path[0]).toBe(leaf);
  expect(leaf.der).toEqual(ders[0]);
  return id;
}

describe('verifyX509Svid', () => {
  it.each(VECTORS)('$id: $title', (vector) => {
    const { verdict } = vector;
    if (typeof verdict === 'string') expect(run(vector)).toBe(verdict);
    else expect(() => run(vector)).toThrow(expect.objectContaining({ message: expect.stringMatching(verdict) }));
  });

  it('V-X-05 needs a source of bundles', () => {
    expect(() => verifyX509Svid([good().der], undefined as never, TEST_NOW)).toThrow(TypeError);
  });

  it('tells apart what is no SVID, what is not trusted and what is not known', () => {
    const code = (vector: Omit<Vector, 'id' | 'title' | 'verdict'>): object => {
      try {
        return { id: run({ ...vector, id: '', title: '', verdict: '' }) };
      } catch (error) {
        return { code: (error as { code?: string }).code };
      }
    };
    expect(code({ chain: [leafOf('spiffe://td')] })).toEqual({ code: 'invalid-x509-svid' });
    expect(code({ chain: [Buffer.from('nonsense')] })).toEqual({ code: 'invalid-x509-svid' });
    expect(code({ chain: [issueSvid(otherRoot, ID)] })).toEqual({ code: 'untrusted-x509-svid' });
    expect(code({ chain: [good()], bundles: {} })).toEqual({ code: 'unknown-trust-domain' });
  });
});

describe('verifyChainToRoots', () => {
  const verify = (chain: TestCertificate[], roots: TestCertificate[]): Buffer[] =>
    verifyChainToRoots(
      chain.map(({ der }) => der),
      roots.map(({ der }) => der),
      TEST_NOW,
    ).map(({ der }) => der);

  it('finds the path of a CA', () => {
    const lower = issueCa(intermediate);
    expect(verify([lower, intermediate], [otherRoot, root])).toEqual([lower.der, intermediate.der, root.der]);
  });

  it('takes a root for its own path', () => {
    expect(verify([root], [root])).toEqual([root.der]);
    expect(() => verify([otherRoot], [root])).toThrow(/unknown authority/);
  });

  it('refuses a root that has expired even when it is asked about itself', () => {
    const old = issueCa(undefined, { notAfter: TEST_NOW - 1000 });
    expect(() => verify([old], [old])).toThrow(/has expired/);
  });
});
