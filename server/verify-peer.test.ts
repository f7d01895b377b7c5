import { describe, expect, it } from 'vitest';
import { ManualClock } from '../common/clock.ts';
import { silentLogger } from '../common/log/logger.ts';
import { subject } from '../common/observable.ts';
import { type Bundle, emptyBundle } from '../spiffe/bundle/bundle.ts';
import { parseTrustDomain, type TrustDomain } from '../spiffe/trust-domain.ts';
import { issueCa, issueSvid, TEST_NOW, type TestCertificate } from '../test/support/pki.ts';
import { id, trustDomain } from '../test/support/server-api.ts';
import { openPeerVerifier } from './verify-peer.ts';

const other = parseTrustDomain('other.org');
const ownCa = issueCa();
const otherCa = issueCa();

const untrusted = expect.objectContaining({ code: 'untrusted-x509-svid' }) as Error;

const bundleOf = (of: TrustDomain, ...roots: TestCertificate[]): Bundle => ({
  ...emptyBundle(of),
  x509Authorities: roots.map(({ der }) => ({ certificate: der, tainted: false })),
});

const open = async (roots: readonly TestCertificate[] = [otherCa]) => {
  const clock = new ManualClock(TEST_NOW);
  const bundle = subject(bundleOf(trustDomain, ownCa));
  const stored = { other: roots };
  const verifier = await openPeerVerifier({
    ...{ trustDomain, bundle, clock, log: silentLogger },
    bundles: { get: async (of) => (of === other ? bundleOf(of, ...stored.other) : undefined) },
    adminIds: new Set([id('spiffe://other.org/admin')]),
  });
  const verify = (ca: TestCertificate, spiffeId: string): unknown => verifier.verify([issueSvid(ca, spiffeId).der]);
  return { ...{ bundle, clock, stored, verifier, verify } };
};

describe('who may connect with a certificate', () => {
  it('is whoever the own bundle vouches for, with the facts that authorization needs', async () => {
    const { verifier } = await open();
    const svid = issueSvid(ownCa, 'spiffe://example.org/w');
    expect(verifier.verify([svid.der])).toMatchObject({ id: id('/w'), serialNumber: expect.any(String) as string });
  });

  it('is judged by the bundle of its own trust domain only', async () => {
    const { verify } = await open();
    expect(() => verify(otherCa, 'spiffe://example.org/w')).toThrow(untrusted);
    expect(() => verify(ownCa, 'spiffe://other.org/admin')).toThrow(untrusted);
    expect(() => verify(ownCa, 'spiffe://third.org/admin')).toThrow('no X.509 bundle found for trust domain third.org');
  });

  it('is of another trust domain only as a configured administrator', async () => {
    const { verify } = await open();
    expect(verify(otherCa, 'spiffe://other.org/admin')).toMatchObject({ id: 'spiffe://other.org/admin' });
    expect(() => verify(otherCa, 'spiffe://other.org/w')).toThrow(
      'spiffe://other.org/w is of another trust domain and no administrator',
    );
  });

  it('follows both bundles', async () => {
    const { bundle, clock, stored, verifier, verify } = await open([]);
    const stop = new AbortController();
    void verifier.run(stop.signal);
    expect(() => verify(otherCa, 'spiffe://other.org/admin')).toThrow(untrusted);
    stored.other = [otherCa];
    await clock.advance(5000);
    expect(() => verify(otherCa, 'spiffe://other.org/admin')).not.toThrow();
    bundle.publish(bundleOf(trustDomain));
    expect(() => verify(ownCa, 'spiffe://example.org/w')).toThrow(untrusted);
    stop.abort();
  });
});
