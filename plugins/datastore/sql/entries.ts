import type { Entry } from '../../../spiffe/registration/entry.ts';
import { change, listEvents, type StoreContext } from './changes.ts';
import type { ChangeEvent, EntryStore } from './contract.ts';
import type { Queries } from './database.ts';
import { type EntryCondition, entryCondition } from './entry-filter.ts';
import type { EntryReader } from './entry-reader.ts';
import type { EntryWriter } from './entry-writer.ts';
import { newestEvent, pruneEvents } from './events.ts';
import { countInSteps, parseToken, pause, type Range, type Rows, scan } from './paging.ts';
import type { Count } from './tables.ts';

/** Entries deleted in one transaction when pruning. */
const PRUNE_ROWS = 100;

/** Registration entries in SQL. */
export function entryStore(context: StoreContext, reader: EntryReader, writer: EntryWriter): EntryStore {
  const { database, changes, log } = context;
  const maxId = (): Promise<number> => database.read((tx) => highestId(tx));

  return {
    async count(filter = {}) {
      const condition = await database.read((tx) => entryCondition(tx, database.values, filter));
      if (!condition.windowed) return database.read((tx) => countRows(tx, condition, undefined));
      return countInSteps(maxId, (range) => database.read((tx) => countRows(tx, condition, range)));
    },

    async list({ filter = {}, page }) {
      if (page !== undefined && page.size > 0) parseToken(page.token);
      const condition = await database.read((tx) => entryCondition(tx, database.values, filter));
      const { items, nextToken } = await scan<Entry>({
        page,
        windowed: condition.windowed,
        maxId,
        fetch: (range, limit) => database.read((tx) => fetchEntries(tx, reader, condition, range, limit)),
      });
      return { entries: items, nextToken };
    },

    async get(id) {
      return (await database.read((tx) => reader.byId(tx, id)))?.entry;
    },

    create: (entry) => change(context, (write) => writer.create(write, entry)),
    update: (entry, fields) => change(context, (write) => writer.update(write, entry, fields)),
    delete: (id) => change(context, (write) => writer.delete(write, id)),

    async prune(expiresBefore) {
      const pruned: Entry[] = [];
      for (;;) {
        const { entries, more } = await change(context, (write) => writer.prune(write, expiresBefore, PRUNE_ROWS));
        pruned.push(...entries);
        for (const { id: entry_id, spiffeId: spiffe_id, parentId: parent_id } of entries) {
          log.info('Pruned an expired registration', { entry_id, spiffe_id, parent_id });
        }
        if (!more) return pruned;
        await pause();
      }
    },

    events: (after) => listEvents(after, (last, limit) => database.read((tx) => entryEvents(tx, last, limit))),
    newestEvent: () => newestEvent(database, 'registered_entries_events'),
    pruneEvents: (before) => pruneEvents(database, 'registered_entries_events', before),

    onChange: (listener) => changes.entries.subscribe(listener),
  };
}

async function entryEvents(tx: Queries, after: number, limit: number): Promise<readonly ChangeEvent[]> {
  const rows = await tx
    .selectFrom('registered_entries_events')
    .select(['id', 'entry_id'])
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map((row) => ({ eventId: row.id, key: row.entry_id ?? '' }));
}

async function highestId(tx: Queries): Promise<number> {
  const { id } = await tx
    .selectFrom('registered_entries')
    .select((eb) => eb.fn.max('id').as('id'))
    .executeTakeFirstOrThrow();
  return id ?? 0;
}

async function countRows(tx: Queries, condition: EntryCondition, range: Range | undefined): Promise<number> {
  let query = tx
    .selectFrom('registered_entries')
    .select((eb) => eb.fn.countAll<Count>().as('n'))
    .where(condition.where);
  if (range !== undefined) query = query.where('id', '>', range.after).where('id', '<=', range.upTo);
  return Number((await query.executeTakeFirstOrThrow()).n);
}

async function fetchEntries(
  tx: Queries,
  reader: EntryReader,
  condition: EntryCondition,
  range: Range,
  limit: number,
): Promise<Rows<Entry>> {
  let query = tx.selectFrom('registered_entries').selectAll().where(condition.where).where('id', '>', range.after);
  if (Number.isFinite(range.upTo)) query = query.where('id', '<=', range.upTo);
  const rows = await query.orderBy('id').limit(limit).execute();
  return { items: await reader.hydrate(tx, rows), matched: rows.length, lastId: rows.at(-1)?.id ?? 0 };
}
