import { createPrivateKey } from 'node:crypto';
import { FinialError } from '../../common/errors.ts';
import type { X509BundleProvider, X509Svid, X509SvidProvider } from '../../client/source.ts';
import { parseSpiffeId } from '../../spiffe/id.ts';
import { parseTrustDomain, type TrustDomain } from '../../spiffe/trust-domain.ts';
import { issueCa, issueSvid, type TestCertificate, type TestSpec } from './pki.ts';

const HOUR_MS = 3_600_000;

/** Validity around the machine's own time, as OpenSSL goes by that. */
export const today: TestSpec = { notBefore: Date.now() - HOUR_MS, notAfter: Date.now() + HOUR_MS };

/** A CA that is valid today. */
export function todaysCa(issuer?: TestCertificate, spec: TestSpec = {}): TestCertificate {
  return issueCa(issuer, { ...today, ...spec });
}

/** A source whose updates the test makes, as TLS code sees it. */
export interface TestSource extends X509SvidProvider, X509BundleProvider {
  /** Presents a new SVID of the same ID from now on. */
  rotate(issuer?: TestCertificate, spec?: TestSpec): void;
  setBundle(trustDomain: string, ...authorities: readonly TestCertificate[]): void;
  /** Has nothing any more. */
  revoke(): void;
}

/**
 * @param issuer the CA of its own trust domain
 * @param others the authorities of further trust domains
 */
export function testSource(
  id: string,
  issuer: TestCertificate,
  others: Readonly<Record<string, TestCertificate>> = {},
  spec: TestSpec = {},
): TestSource {
  const own = parseSpiffeId(id);
  const bundles = new Map<TrustDomain, readonly Buffer[]>([[parseTrustDomain(id), [issuer.der]]]);
  for (const [name, { der }] of Object.entries(others)) bundles.set(parseTrustDomain(name), [der]);
  const listeners = new Set<() => void>();
  const make = (by: TestCertificate, more: TestSpec): X509Svid => {
    const leaf = issueSvid(by, id, { ...today, ...more });
    const privateKey = createPrivateKey(leaf.key.privateKey.export({ format: 'pem', type: 'pkcs8' }));
    const { notBefore = 0, notAfter = 0 } = { ...today, ...more };
    return {
      id: own,
      chain: by === issuer ? [leaf.der] : [leaf.der, by.der],
      privateKey,
      notBefore,
      notAfter,
      hint: '',
    };
  };
  let svid: X509Svid | undefined = make(issuer, spec);
  const tell = (): void => listeners.forEach((listener) => listener());
  return {
    get svid() {
      if (svid === undefined) throw new FinialError('permission-denied', 'no identity issued');
      return svid;
    },
    x509Bundles: bundles,
    onUpdate(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    rotate(by = issuer, more = {}) {
      svid = make(by, more);
      tell();
    },
    setBundle(trustDomain, ...authorities) {
      bundles.set(
        parseTrustDomain(trustDomain),
        authorities.map(({ der }) => der),
      );
    },
    revoke() {
      svid = undefined;
      tell();
    },
  };
}
