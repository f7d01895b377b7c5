import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { ManualClock } from '../../common/clock.ts';
import { silentLogger } from '../../common/log/logger.ts';
import { START_MS } from '../../plugins/datastore/sql/conformance/samples.ts';
import type { DataStore } from '../../plugins/datastore/sql/contract.ts';
import { sqlStore } from '../../plugins/datastore/sql/store.ts';
import { openConnection, type SqliteConnection } from '../../plugins/datastore/sql/sqlite/connection.ts';
import { openSqlite, type SqliteOptions } from '../../plugins/datastore/sql/sqlite/open.ts';

/** Opening of SQLite databases in one test file; everything is closed and removed at its end. */
export interface SqliteTests {
  /** A path in a directory of this test file where nothing is yet. */
  readonly path: (name?: string) => string;
  readonly open: (connectionString: string, options?: Partial<SqliteOptions>) => Promise<DataStore>;
  /** A look at the file past our own code. */
  readonly raw: (path: string) => SqliteConnection;
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
      const connection = openConnection(path, { busyTimeoutMs: 5000 });
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

export function schemaOf(connection: SqliteConnection): Schema {
  const objects = connection
    .prepare('SELECT type, name, tbl_name AS "table", sql FROM sqlite_master ORDER BY rowid')
    .all() as unknown as Schema['objects'];
  const columns: Record<string, unknown[]> = {};
  for (const { name } of objects.filter((one) => one.type === 'table')) {
    const info = connection.prepare(`PRAGMA table_info(${name})`).all() as {
      name: string;
      type: string;
      notnull: number;
      pk: number;
    }[];
    columns[name] = info.map((column) => [column.name, column.type, column.notnull, column.pk]);
  }
  return { objects, columns };
}
