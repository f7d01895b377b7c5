import type { AgentEntry, EntryVersion } from '../server-client/contract.ts';
import type { HeldX509Svid } from './contract.ts';

/** An SVID, and the entry as it was when the SVID was signed. */
export interface Held {
  readonly entry: AgentEntry;
  readonly svid: HeldX509Svid;
}

/** The SVIDs that are held, by entry ID, and what is known of their use. */
export interface Holdings {
  readonly held: ReadonlyMap<string, Held>;
  /** Whether some workload gets this entry's identity right now. */
  isSubscribed(entryId: string): boolean;
  /** Grows with each use; 0 for an entry that no workload ever asked for. */
  lastAccess(entryId: string): number;
  /** How many SVIDs to hold, unless more have subscribers. */
  readonly maxSvids: number;
}

/** The entries whose SVIDs are to be dropped: the longest unused first, never one that has subscribers. */
export function evictions(holdings: Holdings): readonly string[] {
  const { held, maxSvids } = holdings;
  const excess = held.size - maxSvids;
  if (excess <= 0) return [];
  return [...held.keys()]
    .filter((id) => !holdings.isSubscribed(id))
    .sort((a, b) => holdings.lastAccess(a) - holdings.lastAccess(b))
    .slice(0, excess);
}

/**
 * The entries to sign for, most urgent first: what workloads wait for, what they hold and is to be replaced, what is held
 * for nobody and is to be replaced, and, while there is room, what may be held in advance.
 */
export function signingOrder(
  entries: Iterable<AgentEntry>,
  holdings: Holdings,
  due: (svid: HeldX509Svid, entry: AgentEntry) => boolean,
): readonly AgentEntry[] {
  const awaited: AgentEntry[] = [];
  const renewals: AgentEntry[] = [];
  const idleRenewals: AgentEntry[] = [];
  const prefetchable: AgentEntry[] = [];
  for (const entry of entries) {
    const held = holdings.held.get(entry.id);
    const subscribed = holdings.isSubscribed(entry.id);
    if (held === undefined) {
      if (subscribed) awaited.push(entry);
      else if (entry.additionalAttributes?.disableX509SvidPrefetch !== true) prefetchable.push(entry);
    } else if (!isSameVersion(held.entry, entry) || due(held.svid, entry)) {
      (subscribed ? renewals : idleRenewals).push(entry);
    }
  }
  const expiry = (entry: AgentEntry): number => holdings.held.get(entry.id)?.svid.notAfter ?? 0;
  const soonest = (a: AgentEntry, b: AgentEntry): number => expiry(a) - expiry(b);
  const room = Math.max(0, holdings.maxSvids - holdings.held.size - awaited.length);
  return [...awaited, ...renewals.sort(soonest), ...idleRenewals.sort(soonest), ...prefetchable.slice(0, room)];
}

function isSameVersion(a: EntryVersion, b: EntryVersion): boolean {
  return a.revisionNumber === b.revisionNumber && a.createdAt === b.createdAt;
}
