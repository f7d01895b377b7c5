import type { KeyObject } from 'node:crypto';
import type { Bundle } from '../../spiffe/bundle/bundle.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { AgentEntry } from '../server-client/contract.ts';

/** An X509-SVID that the agent holds for an entry. */
export interface HeldX509Svid {
  /** DER, leaf first, without the root. */
  readonly chain: readonly Buffer[];
  readonly privateKey: KeyObject;
  /** Unix milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly receivedAt: number;
  /** The revision of the entry that it was signed for. */
  readonly revisionNumber: number;
}

/** One identity of a workload: the entry that gives it, and the SVID that proves it. */
export interface Identity {
  readonly entry: AgentEntry;
  readonly svid: HeldX509Svid;
}

/** Everything that one workload may see, at one moment. Frozen. */
export interface WorkloadUpdate {
  /** By entry ID, ascending; the first is the default identity. */
  readonly identities: readonly Identity[];
  /** The bundle of the agent's own trust domain. */
  readonly bundle: Bundle;
  /** The bundles that the identities' entries federate with and the agent holds. */
  readonly federatedBundles: ReadonlyMap<TrustDomain, Bundle>;
}

/** The cache as APIs see it. */
export interface WorkloadCache {
  /**
   * The workload's identities once all of its entries have an SVID, then each later change; a slow reader skips states
   * that were replaced. A workload without entries gets an empty update at once. Ends when `signal` aborts.
   */
  subscribe(selectors: readonly Selector[], signal: AbortSignal): AsyncIterable<WorkloadUpdate>;
  /** What the workload may see now, without waiting for SVIDs that are still to be signed. */
  snapshot(selectors: readonly Selector[]): WorkloadUpdate;
  /** The entries that match, whether an SVID is held or not, by entry ID. */
  matchingEntries(selectors: readonly Selector[]): readonly AgentEntry[];
  /** Why entries do not match: for the operator's log. Entries that come nearest first. */
  refusals(
    selectors: readonly Selector[],
  ): readonly { readonly entry: AgentEntry; readonly missing: readonly Selector[] }[];
}

/** The cache as the synchronisation with the server feeds it. */
export interface CacheFeed {
  readonly entries: ReadonlyMap<string, AgentEntry>;
  /** Replaces entries and bundles as a whole; drops SVIDs of entries that are gone; tells the workloads concerned. */
  setEntries(
    entries: ReadonlyMap<string, AgentEntry>,
    bundle: Bundle,
    federatedBundles: ReadonlyMap<TrustDomain, Bundle>,
  ): void;
  /**
   * Entries that need a new SVID now, most urgent first: those with subscribers, then, up to the capacity of the cache,
   * those that may be prefetched. `due` says whether a held SVID is to be replaced (rotation, tainted authority).
   */
  stale(due: (svid: HeldX509Svid, entry: AgentEntry) => boolean): readonly AgentEntry[];
  setSvids(svids: ReadonlyMap<string, HeldX509Svid>): void;
  /** Calls back when a subscriber waits for SVIDs that are not held, so that they are signed at once. */
  onDemand(listener: () => void): () => void;
  /** How many X509-SVIDs are held. */
  readonly svidCount: number;
}

/** A JWT-SVID as workloads get it. Times are Unix seconds. */
export interface CachedJwtSvid {
  readonly token: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/** JWT-SVIDs by identity and audience, fetched on demand. */
export interface JwtSvidCache {
  /**
   * A token with at least half of its life left, from the cache or from the server; of simultaneous requests for the same
   * token one asks the server.
   *
   * @throws FinialError when the server gives none and no unexpired one is held
   */
  get(entry: AgentEntry, audience: readonly string[], signal: AbortSignal): Promise<CachedJwtSvid>;
}
