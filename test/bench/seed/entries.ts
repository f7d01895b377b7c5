import type { SpiffeId } from '../../../spiffe/id.ts';
import { spiffeId } from '../../../spiffe/id.ts';
import type { Selector } from '../../../spiffe/selector.ts';
import { parseTrustDomain, type TrustDomain } from '../../../spiffe/trust-domain.ts';

/** What a seeded entry says; everything else of it is the default. */
export interface SeedEntry {
  readonly id: string;
  readonly spiffeId: SpiffeId;
  readonly parentId: SpiffeId;
  readonly selectors: readonly Selector[];
  readonly dnsNames: readonly string[];
}

/** Entries that one agent of a seeded server is authorized for; the size of the agents in the sync rows. */
const ENTRIES_PER_GROUP = 10_000;
/** Every tenth entry names its service for TLS, as web servers do. */
const DNS_EVERY = 10;

/** The IDs of all seeded entries begin with it. */
export const SEED_SERIES = 'be9c0000-0000-4000-8000-';

/** So many groups of agents do `entries` entries belong to. */
export function groupsOf(entries: number): number {
  return Math.max(1, Math.ceil(entries / ENTRIES_PER_GROUP));
}

/** The parent of the entries of a group: agents of the group get it by an alias entry. */
export function groupId(trustDomain: string, group: number): SpiffeId {
  return spiffeId(parseTrustDomain(trustDomain), `/bench/group/${group}`);
}

/**
 * The n-th of `count` entries, the same whenever it is asked for: two selectors as Kubernetes workloads have them, an ID
 * made of namespace and service account, one parent for each 10,000.
 */
export function seedEntry(trustDomain: string, n: number, count: number): SeedEntry {
  const domain: TrustDomain = parseTrustDomain(trustDomain);
  const namespace = `team-${n % 500}`;
  const account = `service-${n}`;
  return {
    // The shape and length of the IDs that servers make themselves.
    id: `${SEED_SERIES}${n.toString(16).padStart(12, '0')}`,
    spiffeId: spiffeId(domain, `/ns/${namespace}/sa/${account}`),
    parentId: groupId(trustDomain, n % groupsOf(count)),
    selectors: [
      { type: 'k8s', value: `ns:${namespace}` },
      { type: 'k8s', value: `sa:${account}` },
    ],
    dnsNames: n % DNS_EVERY === 0 ? [`${account}.${namespace}.svc`] : [],
  };
}

/** All `count` entries, made one at a time. */
export function* seedEntries(trustDomain: string, count: number): Generator<SeedEntry, void, undefined> {
  for (let n = 0; n < count; n += 1) yield seedEntry(trustDomain, n, count);
}
