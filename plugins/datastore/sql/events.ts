import type { SqlDatabase } from './database.ts';
import { pause } from './paging.ts';
import type { Tables } from './tables.ts';

type EventTable = keyof Pick<Tables, 'registered_entries_events' | 'attested_node_entries_events'>;

/** Rows looked at, and at most deleted, by one transaction. */
const PRUNE_ROWS = 300;

/** The greatest event ID in the table; 0 when it is empty. */
export async function newestEvent(database: SqlDatabase, table: EventTable): Promise<number> {
  const row = await database.read((tx) =>
    tx
      .selectFrom(table)
      .select((eb) => eb.fn.max('id').as('id'))
      .executeTakeFirst(),
  );
  return row?.id ?? 0;
}

/**
 * Deletes the oldest events, those written before `before` (milliseconds since the epoch), in transactions of bounded
 * size. Walks up the IDs, as times have no index, and stops at the first transaction that finds nothing old: what a clock
 * that went wrong has hidden behind younger rows goes when those are old too.
 *
 * @returns how many rows were deleted
 */
export async function pruneEvents(database: SqlDatabase, table: EventTable, before: number): Promise<number> {
  let after = 0;
  let total = 0;
  for (;;) {
    const { deleted, lastId } = await pruneStep(database, table, before, after);
    total += deleted;
    if (deleted === 0) return total;
    after = lastId;
    await pause();
  }
}

function pruneStep(
  database: SqlDatabase,
  table: EventTable,
  before: number,
  after: number,
): Promise<{ readonly deleted: number; readonly lastId: number }> {
  return database.write(async (tx) => {
    const step = tx.selectFrom(table).select('id').where('id', '>', after).orderBy('id').limit(PRUNE_ROWS);
    const lastId = (await step.execute()).at(-1)?.id;
    if (lastId === undefined) return { deleted: 0, lastId: after };
    const { numDeletedRows } = await tx
      .deleteFrom(table)
      .where('id', '>', after)
      .where('id', '<=', lastId)
      .where((eb) => database.values.isBefore(eb.ref('created_at'), before))
      .executeTakeFirstOrThrow();
    return { deleted: Number(numDeletedRows), lastId };
  });
}
