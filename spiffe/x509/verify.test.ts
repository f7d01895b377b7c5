import { describe, expect, it } from 'vitest';
import { issueCa, issueSvid, TEST_NOW, type TestCertificate } from '../../test/support/pki.ts';
import { parseCertificate } from './certificate.ts';
import { verifyChainToRoots, verifyX509Svid } from './verify.ts';

const ID = 'spiffe://td/p';
const root = issueCa(undefined, { subject: 'root' });
const otherRoot = issueCa(undefined, { subject: 'other root' });
const intermediate = issueCa(root, { subject: 'intermediate' });

/** What is judged by its result is in test/vectors/x509-svid.json. */
describe('verifyX509Svid', () => {
  const leaf = issueSvid(root, ID);

  it('tells apart what is no SVID, what is not trusted and what is not known', () => {
    const failure = (
      der: Buffer,
      bundles: Readonly<Record<string, readonly Buffer[]>> = { td: [root.der] },
    ): unknown => {
      try {
        return verifyX509Svid([der], (td) => bundles[td], TEST_NOW);
      } catch (error) {
        return error;
      }
    };
    expect(failure(issueSvid(root, 'spiffe://td').der)).toMatchObject({ code: 'invalid-x509-svid' });
    expect(failure(Buffer.from('nonsense'))).toMatchObject({ code: 'invalid-x509-svid' });
    expect(failure(issueSvid(otherRoot, ID).der)).toMatchObject({ code: 'untrusted-x509-svid' });
    expect(failure(leaf.der, {})).toMatchObject({ code: 'unknown-trust-domain' });
  });

  it('takes certificates that were read already, and gives back the same', () => {
    const chain = [parseCertificate(leaf.der)];
    const anchor = parseCertificate(root.der);
    const verified = verifyX509Svid(chain, () => [anchor], TEST_NOW);
    expect(verified.leaf).toBe(chain[0]);
    expect(verified.path).toEqual([chain[0], anchor]);
    expect(verified.path[1]).toBe(anchor);
  });

  it('asks for the authorities of the leaf and of nobody else', () => {
    const asked: string[] = [];
    const lower = issueCa(root, { names: [[6, 'spiffe://other']] });
    const authorities = (td: string): Buffer[] => {
      asked.push(td);
      return [root.der];
    };
    verifyX509Svid([issueSvid(lower, ID).der, lower.der], authorities, TEST_NOW);
    expect(asked).toEqual(['td']);
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
