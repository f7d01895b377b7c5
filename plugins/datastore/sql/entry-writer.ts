import { sql, type Updateable } from 'kysely';
import type { SpiffeId } from '../../../spiffe/id.ts';
import type { Entry } from '../../../spiffe/registration/entry.ts';
import type { Selector } from '../../../spiffe/selector.ts';
import type { ChangingQueries, StoreContext } from './changes.ts';
import type { EntryField, NewEntry } from './contract.ts';
import type { ColumnValues, Queries } from './database.ts';
import { type EntryParts, entryParts } from './entry-parts.ts';
import { hasExactly, ownersOf } from './entry-filter.ts';
import type { EntryReader, EntryRow } from './entry-reader.ts';
import { attributesColumn, requireOneType, validateNewEntry, validateUpdate } from './entry-validation.ts';
import { notFound, sqlError } from './errors.ts';
import type { EntryTable } from './tables.ts';

/** Changes entries within a transaction of the caller. */
export interface EntryWriter {
  create(write: ChangingQueries, entry: NewEntry): Promise<{ readonly entry: Entry; readonly existing: boolean }>;
  update(
    write: ChangingQueries,
    entry: Pick<Entry, 'id'> & Partial<Entry>,
    fields: readonly EntryField[] | undefined,
  ): Promise<Entry>;
  delete(write: ChangingQueries, entryId: string): Promise<Entry>;
  /** Deletes up to `limit` entries that expired before a time (Unix seconds). */
  prune(
    write: ChangingQueries,
    expiresBefore: number,
    limit: number,
  ): Promise<{ readonly entries: readonly Entry[]; readonly more: boolean }>;
  /** Deletes the entries that were made along with the join token of this node, known by their shape. */
  deleteJoinTokenAliases(write: ChangingQueries, nodeId: SpiffeId): Promise<readonly Entry[]>;
}

const ENTRY_FIELDS: readonly EntryField[] = [
  'spiffeId',
  'parentId',
  'selectors',
  'x509SvidTtl',
  'jwtSvidTtl',
  'federatesWith',
  'admin',
  'downstream',
  'expiresAt',
  'dnsNames',
  'storeSvid',
  'hint',
  'additionalAttributes',
];

/** Registration entries as rows of several tables. */
export function entryWriter(context: Pick<StoreContext, 'database' | 'newId'>, reader: EntryReader): EntryWriter {
  const parts = entryParts(context.database.values);

  const deleteRows = async (
    write: ChangingQueries,
    rows: readonly EntryRow[],
    entries: readonly Entry[],
  ): Promise<readonly Entry[]> => {
    await parts.deleteEntries(
      write.tx,
      rows.map((row) => row.id),
    );
    await write.entriesChanged(rows.map((row) => row.entry_id ?? ''));
    return entries;
  };

  return {
    async create(write, entry) {
      validateNewEntry(entry);
      const similar = await findSimilar(write.tx, context.database.values, reader, entry);
      if (similar !== undefined) return { entry: similar, existing: true };
      const id = entry.id === undefined || entry.id === '' ? context.newId() : entry.id;
      await insertEntry(write, parts, context.database.values.time(write.now), id, entry);
      await write.entriesChanged([id]);
      return { entry: await existing(write.tx, reader, id), existing: false };
    },

    update: (write, entry, fields) =>
      updateEntry(write, context.database.values, parts, reader, entry, new Set(fields ?? ENTRY_FIELDS)),

    async delete(write, entryId) {
      const found = await reader.byId(write.tx, entryId);
      if (found === undefined) throw notFound();
      await deleteRows(write, [found.row], [found.entry]);
      return found.entry;
    },

    async prune(write, expiresBefore, limit) {
      const rows = await expiredRows(write.tx, expiresBefore, limit);
      const entries = await reader.hydrate(write.tx, rows);
      if (rows.length > 0) await deleteRows(write, rows, entries);
      return { entries, more: rows.length === limit };
    },

    async deleteJoinTokenAliases(write, nodeId) {
      const rows = await aliasRows(write.tx, context.database.values, nodeId);
      return rows.length === 0 ? [] : deleteRows(write, rows, await reader.hydrate(write.tx, rows));
    },
  };
}

/**
 * In the order of the index on expiry, so that the entries that do not expire, which all have 0 there, are passed over
 * unread; the few that were made expired have less.
 */
async function expiredRows(tx: Queries, expiresBefore: number, limit: number): Promise<readonly EntryRow[]> {
  const between = (from: number, to: number, most: number): Promise<EntryRow[]> =>
    tx
      .selectFrom('registered_entries')
      .selectAll()
      .where('expiry', '>=', from)
      .where('expiry', '<', to)
      .orderBy('expiry')
      .limit(most)
      .execute();
  const below = await between(Number.MIN_SAFE_INTEGER, Math.min(0, expiresBefore), limit);
  return below.length === limit ? below : [...below, ...(await between(1, expiresBefore, limit - below.length))];
}

/** Found by the selector: the node may be the parent of any number of other entries. */
function aliasRows(tx: Queries, values: ColumnValues, nodeId: SpiffeId): Promise<readonly EntryRow[]> {
  const selector: Selector = { type: 'spiffe_id', value: nodeId };
  return tx
    .selectFrom('registered_entries')
    .selectAll()
    .where((eb) => eb('id', 'in', ownersOf(eb, [selector])))
    .where((eb) => eb(values.unindexed(eb.ref('parent_id')), '=', nodeId))
    .where((eb) => hasExactly(eb, [selector]))
    .execute();
}

/** The entry with the same SPIFFE ID, parent and set of selectors; of several the first. */
async function findSimilar(
  tx: Queries,
  values: ColumnValues,
  reader: EntryReader,
  entry: NewEntry,
): Promise<Entry | undefined> {
  const row = await tx
    .selectFrom('registered_entries')
    .selectAll()
    .where('spiffe_id', '=', entry.spiffeId)
    .where((eb) => eb(values.unindexed(eb.ref('parent_id')), '=', entry.parentId))
    .where((eb) => hasExactly(eb, entry.selectors))
    .orderBy('id')
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? undefined : (await reader.hydrate(tx, [row]))[0];
}

async function updateEntry(
  write: ChangingQueries,
  values: ColumnValues,
  parts: EntryParts,
  reader: EntryReader,
  entry: Pick<Entry, 'id'> & Partial<Entry>,
  named: ReadonlySet<EntryField>,
): Promise<Entry> {
  validateUpdate(entry, named);
  const { tx, now } = write;
  const found = await reader.byId(tx, entry.id);
  if (found === undefined) throw notFound();
  const storeSvid = named.has('storeSvid') ? (entry.storeSvid ?? false) : found.entry.storeSvid;
  if (storeSvid && (named.has('storeSvid') || named.has('selectors'))) {
    requireOneType(named.has('selectors') ? (entry.selectors ?? []) : found.entry.selectors);
  }
  const { id: rowId } = found.row;
  await tx
    .updateTable('registered_entries')
    .set({ ...changedColumns(entry, named), updated_at: values.time(now) })
    .set((eb) => ({ revision_number: sql<number>`${eb.ref('revision_number')} + 1` }))
    .where('id', '=', rowId)
    .execute();
  if (named.has('federatesWith')) await parts.setBundles(tx, rowId, entry.federatesWith ?? []);
  if (named.has('selectors')) await parts.setSelectors(tx, now, rowId, entry.selectors ?? []);
  if (named.has('dnsNames')) await parts.setDnsNames(tx, now, rowId, entry.dnsNames ?? []);
  await write.entriesChanged([entry.id]);
  return existing(tx, reader, entry.id);
}

async function insertEntry(
  write: ChangingQueries,
  parts: EntryParts,
  time: EntryRow['created_at'] & {},
  id: string,
  entry: NewEntry,
): Promise<void> {
  const rowId = await parts.insertEntry(write.tx, {
    created_at: time,
    updated_at: time,
    entry_id: id,
    spiffe_id: entry.spiffeId,
    parent_id: entry.parentId,
    ttl: entry.x509SvidTtl,
    admin: entry.admin,
    downstream: entry.downstream,
    expiry: entry.expiresAt,
    revision_number: 0,
    store_svid: entry.storeSvid,
    hint: entry.hint,
    jwt_svid_ttl: entry.jwtSvidTtl,
    additional_attributes: attributesColumn(entry.additionalAttributes),
  });
  await parts.addBundles(write.tx, rowId, entry.federatesWith);
  await parts.addSelectors(write.tx, write.now, rowId, entry.selectors);
  await parts.addDnsNames(write.tx, write.now, rowId, entry.dnsNames);
}

/** The row's new values for the named fields; a named field without a value gets its zero. */
function changedColumns(entry: Partial<Entry>, named: ReadonlySet<EntryField>): Updateable<EntryTable> {
  const columns: { [K in EntryField]?: Updateable<EntryTable> } = {
    ...(entry.spiffeId === undefined ? {} : { spiffeId: { spiffe_id: entry.spiffeId } }),
    ...(entry.parentId === undefined ? {} : { parentId: { parent_id: entry.parentId } }),
    x509SvidTtl: { ttl: entry.x509SvidTtl ?? 0 },
    jwtSvidTtl: { jwt_svid_ttl: entry.jwtSvidTtl ?? 0 },
    admin: { admin: entry.admin ?? false },
    downstream: { downstream: entry.downstream ?? false },
    expiresAt: { expiry: entry.expiresAt ?? 0 },
    storeSvid: { store_svid: entry.storeSvid ?? false },
    hint: { hint: entry.hint ?? '' },
    additionalAttributes: { additional_attributes: attributesColumn(entry.additionalAttributes) },
  };
  return Object.assign({}, ...[...named].map((field) => columns[field]));
}

async function existing(tx: Queries, reader: EntryReader, entryId: string): Promise<Entry> {
  const found = await reader.byId(tx, entryId);
  if (found === undefined) throw sqlError('internal', 'an entry is missing right after it was written');
  return found.entry;
}
