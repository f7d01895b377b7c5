import { afterEach, expect, it } from 'vitest';
import { ManualClock } from '../../../common/clock.ts';
import { silentLogger } from '../../../common/log/logger.ts';
import type { SqlDatabase } from './database.ts';
import { newestEvent, pruneEvents } from './events.ts';
import { openSqlite } from './sqlite/open.ts';

const TABLE = 'registered_entries_events';
const NOW = Date.UTC(2026, 10, 23);

let database: SqlDatabase;
afterEach(() => database.close());

/** Writes events whose times are `times`, in that order. */
async function withEvents(times: readonly number[]): Promise<void> {
  const clock = new ManualClock(NOW);
  const options = { connectionString: ':memory:', disableMigration: false, logSql: false };
  database = await openSqlite({ ...options, clock, log: silentLogger });
  const rows = times.map((ms) => {
    const time = database.values.time(ms);
    return { created_at: time, updated_at: time, entry_id: 'one' };
  });
  await database.write(async (tx) => {
    for (let from = 0; from < rows.length; from += 100) {
      await tx
        .insertInto(TABLE)
        .values(rows.slice(from, from + 100))
        .execute();
    }
  });
}

const left = (): Promise<number> =>
  database.read(async (tx) => (await tx.selectFrom(TABLE).select('id').execute()).length);

it('pruning goes in transactions of bounded size, each of which counts by itself', async () => {
  const old = 1000;
  await withEvents(Array.from({ length: 2 * old }, (_, n) => NOW + n));
  const remaining: number[] = [];
  const watched: SqlDatabase = {
    ...database,
    async write(work) {
      if (remaining.length === 3) throw new Error('no disk');
      const result = await database.write(work);
      remaining.push(await left());
      return result;
    },
  };
  await expect(pruneEvents(watched, TABLE, NOW + old)).rejects.toThrow('no disk');
  expect(remaining).toEqual([1700, 1400, 1100]);
  expect(await pruneEvents(database, TABLE, NOW + old)).toBe(100);
  expect(await left()).toBe(old);
  expect(await newestEvent(database, TABLE)).toBe(2 * old);
});

it('a row that a wrong clock made old does not take younger ones with it, and goes in the end', async () => {
  await withEvents([NOW, NOW + 2, NOW - 5, NOW + 1]);
  expect(await pruneEvents(database, TABLE, NOW + 1)).toBe(2);
  expect(await left()).toBe(2);
  expect(await pruneEvents(database, TABLE, NOW + 10)).toBe(2);
});
