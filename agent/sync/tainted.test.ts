import { describe, expect, it } from 'vitest';
import { type Bundle, emptyBundle } from '../../spiffe/bundle/bundle.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { issueCa, issueSvid, type TestCertificate } from '../../test/support/pki.ts';
import { taintTest } from './tainted.ts';

const SVID = 'spiffe://example.org/w';

function bundleOf(...roots: readonly (readonly [TestCertificate, boolean])[]): Bundle {
  const x509Authorities = roots.map(([{ der: certificate }, tainted]) => ({ certificate, tainted }));
  return { ...emptyBundle(parseTrustDomain('example.org')), x509Authorities };
}

describe('a tainted authority', () => {
  const [old, successor] = [issueCa(), issueCa()];
  const intermediate = issueCa(old);
  const isTainted = taintTest(bundleOf([old, true], [successor, false]));

  it('taints what it signed, directly or through an intermediate', () => {
    expect(isTainted([issueSvid(old, SVID).der])).toBe(true);
    expect(isTainted([issueSvid(intermediate, SVID).der, intermediate.der])).toBe(true);
  });

  it('taints nothing of its successor, although both have the same name', () => {
    expect(isTainted([issueSvid(successor, SVID).der])).toBe(false);
  });

  it('may be an intermediate that is in the bundle itself', () => {
    const test = taintTest(bundleOf([intermediate, true], [old, false]));
    expect(test([issueSvid(intermediate, SVID).der, intermediate.der])).toBe(true);
    expect(test([issueSvid(old, SVID).der])).toBe(false);
  });

  it('is not assumed where there is none', () => {
    expect(taintTest(bundleOf([old, false]))([issueSvid(old, SVID).der])).toBe(false);
  });
});
