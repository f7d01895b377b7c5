import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  issueCa,
  issueSvid,
  newTestKey,
  TEST_HOUR,
  TEST_NOW,
  type TestCertificate,
  type TestSpec,
} from '../../test/support/pki.ts';
import { parseCertificate } from './certificate.ts';
import { findPath } from './path.ts';

const find = (leaf: TestCertificate, others: TestCertificate[], roots: TestCertificate[]): Buffer[] =>
  findPath(
    parseCertificate(leaf.der),
    others.map(({ der }) => parseCertificate(der)),
    roots.map(({ der }) => der),
    TEST_NOW,
  ).map(({ der }) => der);

const untrusted = (message: RegExp): object =>
  expect.objectContaining({ code: 'untrusted-x509-svid', message: expect.stringMatching(message) });

const root = issueCa(undefined, { subject: 'root' });
const upper = issueCa(root, { subject: 'upper' });
const lower = issueCa(upper, { subject: 'lower' });
const leaf = issueSvid(lower, 'spiffe://td/a');

describe('findPath', () => {
  it('needs no order', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([upper, lower, root, leaf], { minLength: 4 }), (others) => {
        expect(find(leaf, others, [root])).toEqual([leaf, lower, upper, root].map(({ der }) => der));
      }),
    );
  });

  it('stops at the first authority, be it root or not', () => {
    expect(find(leaf, [lower, upper], [root, upper])).toEqual([leaf, lower, upper].map(({ der }) => der));
  });

  it('misses a link', () => {
    expect(() => find(leaf, [lower], [root])).toThrow(untrusted(/^certificate signed by unknown authority$/));
  });

  it('takes the way around a cross-signed CA whose other signer is not trusted, or has expired', () => {
    const key = newTestKey();
    const same = { subject: 'crossed', key, subjectKeyId: Buffer.from('crossed') };
    const stranger = issueCa(undefined, { subject: 'stranger' });
    const wrong = issueCa(stranger, same);
    const old = issueCa(root, { ...same, notAfter: TEST_NOW - 1000 });
    const right = issueCa(root, same);
    const svid = issueSvid(right, 'spiffe://td/a');
    for (const others of [
      [wrong, old, right],
      [right, old, wrong],
      [old, wrong, stranger, right],
    ]) {
      expect(find(svid, others, [root])).toEqual([svid, right, root].map(({ der }) => der));
    }
    expect(() => find(svid, [wrong, old], [root])).toThrow(untrusted(/issuer has expired/));
  });

  it('does not run in circles', () => {
    const [a, b] = [newTestKey(), newTestKey()];
    const aByB = issueCa({ ...issueCa(undefined, { subject: 'b', key: b }) }, { subject: 'a', key: a });
    const bByA = issueCa({ ...issueCa(undefined, { subject: 'a', key: a }) }, { subject: 'b', key: b });
    const svid = issueSvid(aByB, 'spiffe://td/a');
    expect(() => find(svid, [aByB, bByA, aByB], [root])).toThrow(untrusted(/unknown authority/));
    const itself = issueCa(undefined, { subject: 'itself' });
    const doubled = Array.from({ length: 15 }, () => itself);
    // Each copy is tried once, not each way through the copies: the bound on signature checks is not what ends this.
    expect(() => find(issueSvid(itself, 'spiffe://td/a'), doubled, [root])).toThrow(untrusted(/unknown authority$/));
    const aByRoot = issueCa(root, { subject: 'a', key: a });
    expect(find(svid, [aByB, bByA, aByRoot], [root]).at(-1)).toEqual(root.der);
  });

  it('finds the one key among many authorities of one name by its identifier, and also without', () => {
    const same = Array.from({ length: 150 }, () => issueCa(undefined, { subject: 'same' }));
    const last = same.at(-1) ?? root;
    expect(find(issueSvid(last, 'spiffe://td/a'), [], same).at(-1)).toEqual(last.der);
    const few = same.slice(-20);
    const anonymous = issueSvid(last, 'spiffe://td/a', { authorityKeyId: undefined });
    expect(find(anonymous, [], few).at(-1)).toEqual(last.der);
  });

  it('gives up after a bounded number of signature checks', () => {
    const same = Array.from({ length: 33 }, () => issueCa(undefined, { subject: 'same' }));
    const lastOfAll = issueSvid(same.at(-1) ?? root, 'spiffe://td/a', { authorityKeyId: undefined });
    expect(() => find(lastOfAll, [], same)).toThrow(untrusted(/too many candidates/));
  });

  it('bounds the search through CAs that all sign each other', () => {
    const keys = Array.from({ length: 4 }, () => newTestKey());
    const mesh = keys.flatMap((key, i) =>
      keys
        .filter((other) => other !== key)
        .map((other, j) =>
          issueCa(issueCa(undefined, { subject: 'm', key: other }), {
            subject: 'm',
            key,
            serialNumber: BigInt(100 + i * 10 + j),
          }),
        ),
    );
    expect(mesh).toHaveLength(12);
    const svid = issueSvid(mesh[0] ?? root, 'spiffe://td/a', { authorityKeyId: undefined });
    expect(() => find(svid, mesh, [root])).toThrow(untrusted(/too many candidates/));
  });

  it('counts every CA in between for the path length', () => {
    const limited = issueCa(undefined, { subject: 'limited', pathLength: 1 });
    const one = issueCa(limited, { subject: 'one' });
    const two = issueCa(one, { subject: 'two' });
    expect(find(issueSvid(one, 'spiffe://td/a'), [one], [limited])).toHaveLength(3);
    expect(() => find(issueSvid(two, 'spiffe://td/a'), [one, two], [limited])).toThrow(
      untrusted(/chain of this length/),
    );
  });

  it('follows a chain of as many certificates as a peer may send', () => {
    const cas = [root];
    for (let depth = 0; depth < 15; depth += 1) cas.push(issueCa(cas.at(-1), { subject: `depth ${depth}` }));
    const svid = issueSvid(cas.at(-1) ?? root, 'spiffe://td/a');
    const sent = cas.slice(1).toReversed();
    const path = [svid, ...sent, root].map(({ der }) => der);
    expect(find(svid, sent, [root])).toEqual(path);
    expect(find(svid, sent.toReversed(), [root])).toEqual(path);
    expect(() => find(svid, sent.slice(1), [root])).toThrow(untrusted(/unknown authority$/));
  });

  it('knows a new root by the old one that signed it too, or by itself', () => {
    const [oldRoot, newRoot] = [issueCa(undefined, { subject: 'old' }), issueCa(undefined, { subject: 'new' })];
    const { key, subjectKeyId } = newRoot;
    const bridge = issueCa(oldRoot, { subject: 'new', key, subjectKeyId });
    const svid = issueSvid(newRoot, 'spiffe://td/a');
    expect(find(svid, [bridge], [oldRoot])).toEqual([svid, bridge, oldRoot].map(({ der }) => der));
    expect(find(svid, [bridge], [oldRoot, newRoot])).toEqual([svid, newRoot].map(({ der }) => der));
    expect(find(svid, [bridge], [newRoot])).toEqual([svid, newRoot].map(({ der }) => der));
    expect(() => find(svid, [newRoot], [oldRoot])).toThrow(untrusted(/unknown authority$/));
  });

  it('passes over an authority of the same name that has expired, may not sign or is too weak', () => {
    const spoiled: TestSpec[] = [
      { notAfter: TEST_NOW - 1000 },
      { usage: ['cRLSign'] },
      { ca: false },
      { key: newTestKey('rsa-1024') },
      { pathLength: 0 },
    ];
    const good = issueCa(undefined, { subject: 'same', subjectKeyId: undefined });
    const lowest = issueCa(good, { subject: 'lowest' });
    const svid = issueSvid(lowest, 'spiffe://td/a');
    for (const spec of spoiled) {
      const bad = issueCa(undefined, { subject: 'same', key: good.key, subjectKeyId: undefined, ...spec });
      expect(find(svid, [lowest], [bad, good]).at(-1)).toEqual(good.der);
      expect(() => find(svid, [lowest], [bad])).toThrow(untrusted(/unknown authority \(issuer/));
    }
  });

  it('tries a certificate that was sent many times once', () => {
    const deadEnds = Array.from({ length: 2 }, () => issueCa(undefined, { subject: 'lower', key: lower.key }));
    const others = [...Array<TestCertificate[]>(6).fill(deadEnds).flat(), upper, lower];
    expect(find(leaf, others, [root])).toEqual([leaf, lower, upper, root].map(({ der }) => der));
  });

  it('passes over authorities that it cannot read, and says so when it finds nothing', () => {
    const nonsense = { ...root, der: Buffer.from('nonsense') };
    expect(find(issueSvid(root, 'spiffe://td/a'), [], [nonsense, root])).toHaveLength(2);
    expect(() => find(leaf, [], [nonsense])).toThrow(untrusted(/an authority cannot be read: malformed certificate/));
  });

  it('judges the first certificate too', () => {
    const old = issueSvid(root, 'spiffe://td/a', { notAfter: TEST_NOW - TEST_HOUR / 2 });
    expect(() => find(old, [], [root])).toThrow(untrusted(/^certificate has expired$/));
  });
});
