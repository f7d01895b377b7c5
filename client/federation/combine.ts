import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { JwtBundleProvider, X509BundleProvider } from '../source.ts';

type BundleProvider = X509BundleProvider & JwtBundleProvider;

/**
 * One provider of the bundles that several know, each still for its own trust domain alone (SPIFFE Federation 4.2): say
 * those of an agent and those that this process fetches itself. Where two know the bundle of one trust domain, that of
 * the first counts, whole; bundles are never merged.
 */
export function combineBundles(...providers: readonly BundleProvider[]): BundleProvider {
  return {
    get x509Bundles() {
      return firstOfEach(providers.map(({ x509Bundles }) => x509Bundles));
    },
    get jwtBundles() {
      return firstOfEach(providers.map(({ jwtBundles }) => jwtBundles));
    },
  };
}

function firstOfEach<T>(maps: readonly ReadonlyMap<TrustDomain, T>[]): ReadonlyMap<TrustDomain, T> {
  return new Map(maps.toReversed().flatMap((map) => [...map]));
}
