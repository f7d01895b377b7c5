import type { Logger } from '../../common/log/logger.ts';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import { equalBundles } from '../../spiffe/bundle/change.ts';
import { byId, identitiesFor } from '../../spiffe/registration/match.ts';
import { MatchIndex } from '../../spiffe/registration/match-index.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { AgentEntry } from '../server-client/contract.ts';
import { evictions, type Held, type Holdings, signingOrder } from './capacity.ts';
import type { CacheFeed, HeldX509Svid, Identity, WorkloadCache, WorkloadUpdate } from './contract.ts';
import { Subscriptions, type View } from './subscriptions.ts';

export interface WorkloadCacheOptions {
  /** Of the agent's own trust domain, until the first synchronisation brings a newer one. */
  readonly bundle: Bundle;
  /** How many X509-SVIDs to hold, unless more have subscribers; 1000 unless told. */
  readonly maxSvids?: number;
  readonly log: Logger;
}

const DEFAULT_MAX_SVIDS = 1000;

/** The identities of this agent's workloads: fed by the synchronisation, read by the APIs (agent.md 3.1). */
export function createWorkloadCache(options: WorkloadCacheOptions): WorkloadCache & CacheFeed {
  return new Cache(options);
}

class Cache implements WorkloadCache, CacheFeed {
  #entries: ReadonlyMap<string, AgentEntry> = new Map();
  #bundle: Bundle;
  #federated: ReadonlyMap<TrustDomain, Bundle> = new Map();
  readonly #maxSvids: number;
  readonly #log: Logger;
  /** Only what workloads may get: entries that go to an SVID store are left out. */
  readonly #index = new MatchIndex<string>();
  readonly #held = new Map<string, Held>();
  readonly #accesses = new Map<string, number>();
  #accessCount = 0;
  readonly #demandListeners = new Set<() => void>();
  readonly #warned = new Set<TrustDomain>();
  readonly #subscriptions = new Subscriptions((selectors) => this.#view(selectors));

  constructor({ bundle, maxSvids = DEFAULT_MAX_SVIDS, log }: WorkloadCacheOptions) {
    this.#bundle = bundle;
    this.#maxSvids = maxSvids;
    this.#log = log;
  }

  get entries(): ReadonlyMap<string, AgentEntry> {
    return this.#entries;
  }

  get svidCount(): number {
    return this.#held.size;
  }

  subscribe(selectors: readonly Selector[], signal: AbortSignal): AsyncIterable<WorkloadUpdate> {
    return this.#subscriptions.updates(selectors, signal, (view) => this.#joined(view));
  }

  snapshot(selectors: readonly Selector[]): WorkloadUpdate {
    return this.#subscriptions.view(selectors).update;
  }

  matchingEntries(selectors: readonly Selector[]): readonly AgentEntry[] {
    return this.#entriesOf(this.#subscriptions.view(selectors).entryIds);
  }

  refusals(
    selectors: readonly Selector[],
  ): readonly { readonly entry: AgentEntry; readonly missing: readonly Selector[] }[] {
    return identitiesFor(selectors, this.#servable()).refused.map(({ entry, match }) => ({
      entry,
      missing: match.kind === 'missing' ? match.missing : [],
    }));
  }

  setEntries(
    entries: ReadonlyMap<string, AgentEntry>,
    bundle: Bundle,
    federatedBundles: ReadonlyMap<TrustDomain, Bundle>,
  ): void {
    this.#indexChanges(entries);
    this.#entries = entries;
    for (const id of this.#held.keys()) if (!this.#isServed(id)) this.#held.delete(id);
    for (const id of this.#accesses.keys()) if (!entries.has(id)) this.#accesses.delete(id);
    // The old objects are kept where nothing changed, so that views can be compared by identity.
    if (!equalBundles(this.#bundle, bundle)) this.#bundle = bundle;
    this.#federated = keepEqual(this.#federated, federatedBundles);
    for (const trustDomain of this.#warned) if (this.#federated.has(trustDomain)) this.#warned.delete(trustDomain);
    this.#subscriptions.refresh(() => true);
    // After the refresh, which leaves the views of subscribers alone: those keep their SVIDs, so none of them changes here.
    for (const id of evictions(this.#holdings())) this.#held.delete(id);
  }

  stale(due: (svid: HeldX509Svid, entry: AgentEntry) => boolean): readonly AgentEntry[] {
    return signingOrder(this.#servable(), this.#holdings(), due);
  }

  setSvids(svids: ReadonlyMap<string, HeldX509Svid>): void {
    for (const [id, svid] of svids) {
      const entry = this.#entries.get(id);
      // Signed for an entry that has gone or changed since; a changed one is signed for again.
      if (entry === undefined || entry.storeSvid || entry.revisionNumber !== svid.revisionNumber) continue;
      this.#held.set(id, { entry, svid });
    }
    this.#subscriptions.refresh(({ entryIds }) => entryIds.some((id) => svids.has(id)));
  }

  onDemand(listener: () => void): () => void {
    const own = (): void => listener();
    this.#demandListeners.add(own);
    return () => void this.#demandListeners.delete(own);
  }

  #joined({ entryIds, isComplete }: View): void {
    this.#accessCount += 1;
    for (const id of entryIds) this.#accesses.set(id, this.#accessCount);
    if (isComplete) return;
    this.#log.debug('Waiting for SVID to get cached');
    for (const listener of [...this.#demandListeners]) listener();
  }

  #indexChanges(entries: ReadonlyMap<string, AgentEntry>): void {
    for (const id of this.#entries.keys()) if (!entries.has(id)) this.#index.remove(id);
    for (const [id, entry] of entries) {
      if (this.#entries.get(id) === entry) continue;
      if (entry.storeSvid) this.#index.remove(id);
      else this.#index.put(id, entry.selectors);
    }
  }

  #isServed(id: string): boolean {
    return this.#entries.get(id)?.storeSvid === false;
  }

  #entriesOf(ids: readonly string[]): AgentEntry[] {
    const found: AgentEntry[] = [];
    for (const id of ids) {
      const entry = this.#entries.get(id);
      if (entry !== undefined) found.push(entry);
    }
    return found;
  }

  *#servable(): Iterable<AgentEntry> {
    for (const entry of this.#entries.values()) if (!entry.storeSvid) yield entry;
  }

  #holdings(): Holdings {
    const subscribed = this.#subscriptions.subscribedEntries();
    return {
      held: this.#held,
      isSubscribed: (id) => subscribed.has(id),
      lastAccess: (id) => this.#accesses.get(id) ?? 0,
      maxSvids: this.#maxSvids,
    };
  }

  #view(selectors: readonly Selector[]): View {
    const matching = this.#entriesOf(this.#index.matching(selectors)).toSorted(byId);
    const identities: Identity[] = [];
    const federated = new Set<TrustDomain>();
    for (const current of matching) {
      const held = this.#held.get(current.id);
      if (held === undefined) continue;
      // The entry as it was signed for: an edit must not show a name that the certificate does not prove.
      identities.push(Object.freeze({ entry: held.entry, svid: held.svid }));
      for (const trustDomain of current.federatesWith) federated.add(trustDomain);
    }
    return {
      entryIds: matching.map(({ id }) => id),
      isComplete: identities.length === matching.length,
      update: Object.freeze({
        identities: Object.freeze(identities),
        bundle: this.#bundle,
        federatedBundles: this.#bundlesOf(federated),
      }),
    };
  }

  #bundlesOf(trustDomains: ReadonlySet<TrustDomain>): ReadonlyMap<TrustDomain, Bundle> {
    const bundles = new Map<TrustDomain, Bundle>();
    for (const trustDomain of [...trustDomains].sort()) {
      if (trustDomain === this.#bundle.trustDomain) continue;
      const bundle = this.#federated.get(trustDomain);
      if (bundle !== undefined) bundles.set(trustDomain, bundle);
      else this.#warnOnce(trustDomain);
    }
    return bundles;
  }

  #warnOnce(trustDomain: TrustDomain): void {
    if (this.#warned.has(trustDomain)) return;
    this.#warned.add(trustDomain);
    this.#log.warn('Federated bundle contents missing', { trust_domain: trustDomain });
  }
}

function keepEqual(
  old: ReadonlyMap<TrustDomain, Bundle>,
  next: ReadonlyMap<TrustDomain, Bundle>,
): ReadonlyMap<TrustDomain, Bundle> {
  const kept = new Map<TrustDomain, Bundle>();
  for (const [trustDomain, bundle] of next) {
    const known = old.get(trustDomain);
    kept.set(trustDomain, known !== undefined && equalBundles(known, bundle) ? known : bundle);
  }
  return kept;
}
