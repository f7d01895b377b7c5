import { SpiffeError } from '../error.ts';
import type { TrustDomain } from '../trust-domain.ts';
import type { Bundle } from './bundle.ts';
import { equalBundles } from './change.ts';

/**
 * The bundles of several trust domains, each to judge the SVIDs of its own and of no other (Federation 4.2, 7.3). There
 * is on purpose no function that gives the authorities of all of them. A set is a value: what changes it makes another.
 */
export type BundleSet = ReadonlyMap<TrustDomain, Bundle>;

/**
 * A set of these bundles.
 *
 * @throws SpiffeError `invalid-bundle` when two are of one trust domain
 */
export function bundleSet(...bundles: readonly Bundle[]): BundleSet {
  const set = new Map<TrustDomain, Bundle>();
  for (const bundle of bundles) {
    if (set.has(bundle.trustDomain)) throw new SpiffeError('invalid-bundle', `two bundles of ${bundle.trustDomain}`);
    set.set(bundle.trustDomain, bundle);
  }
  return set;
}

/** The set with this bundle, in place of the one that its trust domain had. */
export function withBundle(set: BundleSet, bundle: Bundle): BundleSet {
  return new Map(set).set(bundle.trustDomain, bundle);
}

/** The set without the bundle of a trust domain: nothing of that trust domain is trusted any more. */
export function withoutBundle(set: BundleSet, trustDomain: TrustDomain): BundleSet {
  return new Map(Array.from(set).filter(([name]) => name !== trustDomain));
}

/**
 * The bundle that judges the SVIDs of a trust domain (Trust Domain and Bundle 3).
 *
 * @throws SpiffeError `unknown-trust-domain`
 */
export function bundleOf(set: BundleSet, trustDomain: TrustDomain): Bundle {
  const bundle = set.get(trustDomain);
  if (bundle === undefined) throw new SpiffeError('unknown-trust-domain', `no bundle of trust domain ${trustDomain}`);
  return bundle;
}

/** Whether two sets hold equal bundles of the same trust domains, in whatever order. */
export function equalBundleSets(a: BundleSet, b: BundleSet): boolean {
  if (a.size !== b.size) return false;
  for (const [trustDomain, bundle] of a) {
    const other = b.get(trustDomain);
    if (other === undefined || !equalBundles(bundle, other)) return false;
  }
  return true;
}
