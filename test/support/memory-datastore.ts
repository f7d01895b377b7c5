import { FinialError } from '../../common/errors.ts';
import type { BundleStore, CaJournal, JournalStore } from '../../plugins/datastore/sql/contract.ts';
import { type Bundle, emptyBundle } from '../../spiffe/bundle/bundle.ts';
import { mergeBundles, pruneBundle } from '../../spiffe/bundle/change.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';

/** The parts of a DataStore that authorities need, kept in memory, for tests that cut them short or drive years. */
export interface MemoryDatastore {
  readonly bundles: BundleStore;
  readonly journals: JournalStore;
}

export function memoryDatastore(): MemoryDatastore {
  return { bundles: memoryBundles(), journals: memoryJournals() };
}

function memoryBundles(): BundleStore {
  const rows = new Map<TrustDomain, Bundle>();
  return {
    get: async (trustDomain) => rows.get(trustDomain),
    list: async () => ({ bundles: [...rows.values()], nextToken: '' }),
    count: async () => rows.size,
    async append(added) {
      const { bundle } = mergeBundles(rows.get(added.trustDomain) ?? emptyBundle(added.trustDomain), added);
      rows.set(added.trustDomain, bundle);
      return bundle;
    },
    async set(bundle) {
      rows.set(bundle.trustDomain, bundle);
      return bundle;
    },
    async prune(trustDomain, expiresBefore) {
      const stored = rows.get(trustDomain);
      if (stored === undefined) return false;
      try {
        const { bundle, changed } = pruneBundle(stored, expiresBefore);
        rows.set(trustDomain, bundle);
        return changed;
      } catch (error) {
        throw new FinialError('failed-precondition', 'the bundle would be left empty', { cause: error });
      }
    },
  };
}

function memoryJournals(): JournalStore {
  const rows = new Map<number, CaJournal>();
  return {
    find: async (activeX509AuthorityId) =>
      [...rows.values()].find((row) => row.activeX509AuthorityId === activeX509AuthorityId),
    list: async () => [...rows.values()],
    async save(journal) {
      const rowId = journal.rowId === 0 ? Math.max(0, ...rows.keys()) + 1 : journal.rowId;
      rows.set(rowId, { ...journal, rowId, data: Buffer.from(journal.data) });
      return rowId;
    },
    async delete(rowId) {
      rows.delete(rowId);
    },
  };
}
