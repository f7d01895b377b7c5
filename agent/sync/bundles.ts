import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { AgentEntry, ServerClient } from '../server-client/contract.ts';

/** So many bundles are asked for at once. */
const AT_ONCE = 10;

/** The trust domains that any of the entries federates with, sorted. */
export function federatedTrustDomains(entries: Iterable<AgentEntry>): readonly TrustDomain[] {
  const found = new Set<TrustDomain>();
  for (const entry of entries) for (const trustDomain of entry.federatesWith) found.add(trustDomain);
  return [...found].sort();
}

/** Those bundles of `trustDomains` that the server has. @throws FinialError when a call fails */
export async function fetchFederatedBundles(
  client: Pick<ServerClient, 'federatedBundle'>,
  trustDomains: readonly TrustDomain[],
  signal: AbortSignal,
): Promise<ReadonlyMap<TrustDomain, Bundle>> {
  const bundles = new Map<TrustDomain, Bundle>();
  for (let at = 0; at < trustDomains.length; at += AT_ONCE) {
    const answers = await Promise.all(
      trustDomains.slice(at, at + AT_ONCE).map((trustDomain) => client.federatedBundle(trustDomain, signal)),
    );
    for (const bundle of answers) if (bundle !== undefined) bundles.set(bundle.trustDomain, bundle);
  }
  return bundles;
}
