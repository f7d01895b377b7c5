import { subject } from '../../common/observable.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { JwtBundleProvider, X509BundleProvider, X509Svid, X509SvidProvider } from '../source.ts';
import type { TestAuthority, X509SvidOptions } from './authority.ts';

/** One identity and the bundles it trusts, without an agent: what code that takes an X509Source needs of it. */
export interface TestSource extends X509SvidProvider, X509BundleProvider, JwtBundleProvider {
  /** Puts a new SVID that says the same, under the newest root, in the place of this one, and tells listeners. */
  renew(): Promise<void>;
  /** Trusts the SVIDs of one more trust domain. */
  federate(other: TestAuthority): void;
}

/**
 * An identity of `authority` that trusts its own trust domain, and those that it is federated with. Bundles are always
 * the authorities' newest.
 *
 * @throws SpiffeError as `issueX509`
 */
export async function createTestSource(
  authority: TestAuthority,
  id: string,
  options: X509SvidOptions = {},
): Promise<TestSource> {
  const svid = subject<X509Svid>(await authority.issueX509(id, options));
  const trusted = new Map<TrustDomain, TestAuthority>([[authority.trustDomain, authority]]);
  const updated = subject<undefined>(undefined);
  const tell = (): void => updated.publish(undefined);
  authority.onUpdate(tell);
  return {
    get svid() {
      return svid.current;
    },
    get x509Bundles() {
      return new Map([...trusted.values()].flatMap((one) => [...one.x509Bundles]));
    },
    get jwtBundles() {
      return new Map([...trusted.values()].flatMap((one) => [...one.jwtBundles]));
    },
    onUpdate: (listener) => updated.subscribe(() => listener()),
    async renew() {
      svid.publish(await authority.renewX509(svid.current));
      tell();
    },
    federate(other) {
      trusted.set(other.trustDomain, other);
      other.onUpdate(tell);
      tell();
    },
  };
}
