import 'reflect-metadata';
import { sign, X509Certificate } from 'node:crypto';
import * as peculiar from '@peculiar/x509';
import { bundleToDer } from '../../../spiffe/bundle/der.ts';
import { parseCertificate, splitCertificates } from '../../../spiffe/x509/certificate.ts';
import { bitString, encode, objectIdentifier, sequence } from '../../../spiffe/x509/der-writer.ts';
import { verifyX509Svid } from '../../../spiffe/x509/verify.ts';
import {
  extension,
  issueCa,
  issueSvid,
  TEST_NOW,
  type TestCertificate,
  testName,
  type TestSpec,
} from '../../support/pki.ts';
import { ed25519Key } from '../keys.ts';
import { mixed } from '../mutate/bytes.ts';
import { mutateDer } from '../mutate/der.ts';
import { type DerNode, readTrees, writeTrees } from '../mutate/der-tree.ts';
import { must, mustBeSame, opinion, outcomeOf, ruleOf, type Mutator, type Target } from '../target.ts';
import { spiffeErrors } from './refusal.ts';

const fixed = (name: string): TestSpec => ({
  key: ed25519Key(name),
  subject: name,
  serialNumber: 7n,
  subjectKeyId: Buffer.from(name),
});
const root = issueCa(undefined, fixed('root'));
const middle = issueCa(root, fixed('middle'));
const ED25519 = sequence(objectIdentifier('1.3.101.112'));

/** Changes the chain, and has its CAs sign what came of it, as CAs that look at nothing would. */
const signed: Mutator = (input, random, other) => {
  const [leaf, ...others] = readTrees(mutateDer(input, random, other)) ?? [];
  if (leaf === undefined) return input;
  const issuers = others.length === 0 ? [root] : [random.oneIn(10) ? root : middle, root];
  const certificates = [leaf, ...others].map((one, index) => signedBy(one, issuers[Math.min(index, 1)] ?? root));
  return Buffer.concat(certificates);
};

function signedBy(certificate: DerNode, issuer: TestCertificate): Buffer {
  const tbs = certificate.children?.[0];
  if (tbs === undefined) return writeTrees([certificate]);
  const der = writeTrees([tbs]);
  return sequence(der, ED25519, bitString(sign(null, der, issuer.key.privateKey)));
}

const svid = (issuer: TestCertificate, spec: TestSpec = {}): Buffer =>
  issueSvid(issuer, 'spiffe://example.org/a', { ...fixed('leaf'), ...spec }).der;

/** GeneralSubtrees of all forms; the leaf's own names are in the permitted ones. */
function constraintsOf(dnsNames: readonly string[]): Buffer {
  const subtree = (tag: number, value: Buffer): Buffer => sequence(encode(tag, value));
  const text = (tag: number, value: string): Buffer => subtree(tag, Buffer.from(value));
  const permitted = [
    ...dnsNames.map((name) => text(0x82, name)),
    ...[text(0x86, 'example.org'), text(0x86, '.example.org'), text(0x81, 'example.org')],
    ...[subtree(0x87, Buffer.from('7f000000ff000000', 'hex')), subtree(0xa4, testName('leaf'))],
  ];
  const excluded = [text(0x82, 'b.example'), text(0x81, 'x@b.example'), subtree(0xa4, testName('other'))];
  const value = sequence(encode(0xa0, ...permitted), encode(0xa1, ...excluded));
  return extension('2.5.29.30', true, value);
}

type AltNames = readonly (readonly [tag: number, value: string | Buffer])[];

function constrainedChain(leafNames: AltNames, constraints: readonly string[]): Buffer {
  const above = issueCa(root, { ...fixed('middle'), extensions: [constraintsOf(constraints)] });
  return Buffer.concat([svid(above, { names: [[6, 'spiffe://example.org/a'], ...leafNames] }), above.der]);
}

/** The chains to begin with. */
export function verifySeeds(): Buffer[] {
  const names: AltNames = [
    [2, 'a.example'],
    [2, '*.example'],
    [1, 'x@example.org'],
    [7, Buffer.of(127, 0, 0, 1)],
  ];
  return [
    svid(root),
    Buffer.concat([svid(middle), middle.der]),
    Buffer.concat([svid(middle, { subject: '' }), middle.der, root.der]),
    constrainedChain(names, ['example']),
    constrainedChain([], []),
  ];
}

const many = (size: number, name: string): string[] =>
  Array.from({ length: size }, (_, index) => `${name}${index}.example`);

/** What a peer presents, under a root that signs everything: only what is an X509-SVID by OpenSSL too is accepted. */
export const x509VerifyTarget: Target = {
  name: 'x509-verify',
  maxLength: 16_384,
  mutate: mixed([1, mutateDer], [4, signed]),
  growth: [
    {
      what: 'name constraints',
      from: 1000,
      of: (size) => constrainedChain([[2, 'a.example']], many(size, 'b')),
    },
    {
      what: 'names and name constraints',
      from: 500,
      of: (size) =>
        constrainedChain(
          many(size, 'a').map((name) => [2, name] as const),
          many(size, 'b'),
        ),
    },
  ],
  execute(input) {
    const split = outcomeOf(() => splitCertificates(input), spiffeErrors('invalid-certificate'));
    if ('refused' in split) return ruleOf(split.refused);
    const chain = split.value;
    const roots = [Buffer.from(bundleToDer({ x509Authorities: [{ certificate: root.der, tainted: false }] }))];
    const authorities = (name: string): Buffer[] | undefined => (name === 'example.org' ? roots : undefined);
    const isAllowed = spiffeErrors('invalid-x509-svid', 'untrusted-x509-svid', 'unknown-trust-domain');
    const outcome = outcomeOf(() => verifyX509Svid(chain, authorities, TEST_NOW), isAllowed);
    if ('refused' in outcome) return ruleOf(outcome.refused);
    const { id, path } = outcome.value;
    mustBeSame(id.startsWith('spiffe://example.org/'), true, 'an ID of the trust domain whose root it is');
    must(path.at(-1)?.der.equals(root.der) === true, 'the path ends at the root');
    checkLeaf(path[0]?.der ?? Buffer.of(), id);
    path.slice(1).forEach(({ der }, index) => checkLink(path[index]?.der ?? Buffer.of(), der));
    return `accepted ${path.length}`;
  },
};

function checkLeaf(der: Buffer, id: string): void {
  const theirs = opinion(() => new X509Certificate(der))?.value;
  must(theirs !== undefined, 'OpenSSL reads the leaf');
  must(!theirs.ca, 'the leaf is no CA by OpenSSL');
  if (theirs.subjectAltName === undefined) {
    // OpenSSL reads all names or none, and looks into forms that nobody asks about here.
    must(parseCertificate(der).otherForms.length > 0, 'OpenSSL reads the names');
    return;
  }
  const uris = theirs.subjectAltName.match(/URI:/g) ?? [];
  must(uris.length === 1 && theirs.subjectAltName.includes(`URI:${id}`), 'the one ID by OpenSSL');
}

/** Whether one certificate was signed by another that may, by OpenSSL, at the time of all tests. */
export function checkLink(child: Buffer, issuer: Buffer): void {
  const [below, above] = [new X509Certificate(child), new X509Certificate(issuer)];
  // Not by OpenSSL, which says so of nothing that has some other extension which it cannot read.
  const constraints = new peculiar.X509Certificate(issuer).getExtension(peculiar.BasicConstraintsExtension);
  must(constraints?.ca === true, 'an issuer is a CA by @peculiar/x509');
  must(below.verify(above.publicKey), 'a signature that OpenSSL finds right');
  for (const one of [below, above]) {
    must(Date.parse(one.validFrom) <= TEST_NOW && TEST_NOW <= Date.parse(one.validTo), 'valid now by OpenSSL');
  }
}
