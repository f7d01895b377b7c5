import type { Insertable } from 'kysely';
import { trustDomainId } from '../../../spiffe/id.ts';
import type { Selector } from '../../../spiffe/selector.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import { FinialError } from '../../../common/errors.ts';
import type { ColumnValues, Queries } from './database.ts';
import type { EntryTable } from './tables.ts';
import { insertTemplate, listTemplate } from './templates.ts';

/** Writes the rows that make up entries. `now` is in milliseconds since the epoch. */
export interface EntryParts {
  /** @returns the row's id */
  insertEntry(tx: Queries, row: Insertable<EntryTable>): Promise<number>;
  addSelectors(tx: Queries, now: number, rowId: number, selectors: readonly Selector[]): Promise<void>;
  setSelectors(tx: Queries, now: number, rowId: number, selectors: readonly Selector[]): Promise<void>;
  addDnsNames(tx: Queries, now: number, rowId: number, names: readonly string[]): Promise<void>;
  setDnsNames(tx: Queries, now: number, rowId: number, names: readonly string[]): Promise<void>;
  /** @throws FinialError `internal`, as the reference does, when one of the trust domains has no bundle */
  addBundles(tx: Queries, rowId: number, trustDomains: readonly TrustDomain[]): Promise<void>;
  setBundles(tx: Queries, rowId: number, trustDomains: readonly TrustDomain[]): Promise<void>;
  /** Deletes entries, at most 500, with everything that belongs to them. */
  deleteEntries(tx: Queries, rowIds: readonly number[]): Promise<void>;
}

/** Stands in for a row where only the names and kinds of its columns count. */
const NO_ENTRY = {
  entry_id: '',
  spiffe_id: '',
  parent_id: '',
  ttl: 0,
  admin: false,
  downstream: false,
  expiry: 0,
  revision_number: 0,
  store_svid: false,
  hint: '',
  jwt_svid_ttl: 0,
  additional_attributes: null,
};

/** The statements are prepared once; values are what changes. */
export function entryParts(values: ColumnValues): EntryParts {
  const deleteBundles = listTemplate(0, (tx, ids) =>
    tx.deleteFrom('federated_registration_entries').where('registered_entry_id', 'in', ids),
  );
  const deleteSelectors = listTemplate(0, (tx, ids) =>
    tx.deleteFrom('selectors').where('registered_entry_id', 'in', ids),
  );
  const deleteDnsNames = listTemplate(0, (tx, ids) =>
    tx.deleteFrom('dns_names').where('registered_entry_id', 'in', ids),
  );
  const deleteRows = listTemplate(0, (tx, ids) => tx.deleteFrom('registered_entries').where('id', 'in', ids));
  const stamps = (now: number) => ({ created_at: values.time(now), updated_at: values.time(now) });
  const insertSelector = insertTemplate('selectors', { ...stamps(0), registered_entry_id: 0, type: '', value: '' });
  const insertDnsName = insertTemplate('dns_names', { ...stamps(0), registered_entry_id: 0, value: '' });

  const parts: EntryParts = {
    insertEntry: insertTemplate('registered_entries', { ...stamps(0), ...NO_ENTRY }),

    async addSelectors(tx, now, rowId, selectors) {
      for (const { type, value } of selectors) {
        await insertSelector(tx, { ...stamps(now), registered_entry_id: rowId, type, value });
      }
    },
    async setSelectors(tx, now, rowId, selectors) {
      await deleteSelectors(tx, [rowId]);
      await parts.addSelectors(tx, now, rowId, selectors);
    },

    async addDnsNames(tx, now, rowId, names) {
      for (const value of names) await insertDnsName(tx, { ...stamps(now), registered_entry_id: rowId, value });
    },
    async setDnsNames(tx, now, rowId, names) {
      await deleteDnsNames(tx, [rowId]);
      await parts.addDnsNames(tx, now, rowId, names);
    },

    async addBundles(tx, rowId, trustDomains) {
      const ids = await bundleIds(tx, trustDomains);
      if (ids.length === 0) return;
      const rows = ids.map((bundle_id) => ({ bundle_id, registered_entry_id: rowId }));
      await tx.insertInto('federated_registration_entries').values(rows).execute();
    },
    async setBundles(tx, rowId, trustDomains) {
      await deleteBundles(tx, [rowId]);
      await parts.addBundles(tx, rowId, trustDomains);
    },

    async deleteEntries(tx, rowIds) {
      await deleteBundles(tx, rowIds);
      await deleteSelectors(tx, rowIds);
      await deleteDnsNames(tx, rowIds);
      await deleteRows(tx, rowIds);
    },
  };
  return parts;
}

/** Row ids of the bundles of `trustDomains`, each once. */
async function bundleIds(tx: Queries, trustDomains: readonly TrustDomain[]): Promise<readonly number[]> {
  const wanted = [...new Set(trustDomains)].map(trustDomainId);
  if (wanted.length === 0) return [];
  const rows = await tx
    .selectFrom('bundles')
    .select(['id', 'trust_domain'])
    .where('trust_domain', 'in', wanted)
    .orderBy('id')
    .execute();
  const found = new Set<string>(rows.map((row) => row.trust_domain));
  const unknown = wanted.find((id) => !found.has(id));
  if (unknown !== undefined) throw new FinialError('internal', `unable to find federated bundle "${unknown}"`);
  return rows.map((row) => row.id);
}
