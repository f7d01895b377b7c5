import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { ManualClock } from '../../common/clock.ts';
import { silentLogger } from '../../common/log/logger.ts';
import { START_MS } from '../../plugins/datastore/sql/conformance/samples.ts';
import type { DataStore } from '../../plugins/datastore/sql/contract.ts';
import { sqlStore } from '../../plugins/datastore/sql/store.ts';
import { openSqlite, type SqliteOptions } from '../../plugins/datastore/sql/sqlite/open.ts';

/** Opening of SQLite databases in one test file; everything is closed and removed at its end. */
export interface SqliteTests {
  /** A path in a directory of this test file where nothing is yet. */
  readonly path: (name?: string) => string;
  readonly open: (connectionString: string, options?: Partial<SqliteOptions>) => Promise<DataStore>;
  /** A look at the file past our own code. */
  readonly raw: (path: string) => SqliteDatabase.Database;
}

export function sqliteTests(): SqliteTests {
  let directory = '';
  const opened: { close(): unknown }[] = [];
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'finial-datastore-'));
  });
  afterEach(async () => {
    for (const one of opened.splice(0).toReversed()) await one.close();
  });
  afterAll(() => rmSync(directory, { recursive: true }));
  return {
    path: (name = `${randomUUID()}.sqlite3`) => join(directory, name),
    async open(connectionString, options = {}) {
      const clock = new ManualClock(START_MS);
      const all = { connectionString, disableMigration: false, logSql: false, clock, log: silentLogger, ...options };
      const database = await openSqlite(all);
      const store = sqlStore({ database, clock: all.clock, log: all.log, newId: randomUUID });
      opened.push(store);
      return store;
    },
    raw(path) {
      const connection = new SqliteDatabase(path);
      opened.push(connection);
      return connection;
    },
  };
}

/** What a database says of itself: `sqlite_master` and the columns of each table. For tests. */
export interface Schema {
  readonly objects: readonly { readonly type: string; readonly name: string; readonly sql: string | null }[];
  readonly columns: Readonly<Record<string, readonly unknown[]>>;
}

export function schemaOf(connection: SqliteDatabase.Database): Schema {
  const objects = connection
    .prepare<[], Schema['objects'][number]>(
      'SELECT type, name, tbl_name AS "table", sql FROM sqlite_master ORDER BY rowid',
    )
    .all();
  const columns: Record<string, unknown[]> = {};
  for (const { name } of objects.filter((one) => one.type === 'table')) {
    const info = connection.pragma(`table_info(${name})`) as {
      name: string;
      type: string;
      notnull: number;
      pk: number;
    }[];
    columns[name] = info.map((column) => [column.name, column.type, column.notnull, column.pk]);
  }
  return { objects, columns };
}
