import { copyFileSync, constants, rmSync } from 'node:fs';
import path from 'node:path';
import { CODE_VERSION, SCHEMA_VERSION } from '../../../plugins/datastore/sql/migration-policy.ts';
import {
  immediately,
  openConnection,
  pragma,
  type SqliteConnection,
} from '../../../plugins/datastore/sql/sqlite/connection.ts';
import { createStatements } from '../../../plugins/datastore/sql/sqlite/schema.ts';
import { sqliteValues } from '../../../plugins/datastore/sql/sqlite/time.ts';
import { type SeedEntry, seedEntries } from './entries.ts';

const isIndex = (statement: string): boolean => /^CREATE (UNIQUE )?INDEX/.test(statement);

/**
 * Writes a new SQLite file with entries in it, which servers of both products take as their own: schema and version are
 * those of the reference, and there are no authorities in it yet. One transaction, indexes last: about 10 us an entry.
 *
 * @param now for the times in the rows, milliseconds since the epoch
 */
export function writeSeedDatabase(file: string, entries: Iterable<SeedEntry>, now: number): void {
  const connection = openConnection(file, { busyTimeoutMs: 0 });
  try {
    // Nobody else reads it yet, and a half-written file is thrown away.
    pragma(connection, 'journal_mode = OFF');
    pragma(connection, 'synchronous = OFF');
    const time = sqliteValues.time(now);
    immediately(connection, () => {
      for (const statement of createStatements()) if (!isIndex(statement)) connection.exec(statement);
      connection
        .prepare('INSERT INTO migrations (created_at, updated_at, version, code_version) VALUES (?, ?, ?, ?)')
        .run(time, time, SCHEMA_VERSION, CODE_VERSION);
      insertEntries(connection, entries, time);
      for (const statement of createStatements()) if (isIndex(statement)) connection.exec(statement);
    });
    // Kept in the file: a server finds its own mode when it opens it.
    pragma(connection, 'journal_mode = WAL');
  } finally {
    connection.close();
  }
}

function insertEntries(connection: SqliteConnection, entries: Iterable<SeedEntry>, time: unknown): void {
  const entry = connection.prepare(
    'INSERT INTO registered_entries (id, created_at, updated_at, entry_id, spiffe_id, parent_id, ttl, admin, downstream, ' +
      "expiry, revision_number, store_svid, hint, jwt_svid_ttl) VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, '', 0)",
  );
  const part = (table: string, columns: string): ReturnType<SqliteConnection['prepare']> =>
    connection.prepare(
      `INSERT INTO ${table} (created_at, updated_at, registered_entry_id, ${columns}) VALUES (?, ?, ?${', ?'.repeat(columns.split(',').length)})`,
    );
  const selector = part('selectors', 'type, value');
  const dnsName = part('dns_names', 'value');
  let row = 0;
  for (const one of entries) {
    row += 1;
    entry.run(row, time, time, one.id, one.spiffeId, one.parentId);
    for (const { type, value } of one.selectors) selector.run(time, time, row, type, value);
    for (const name of one.dnsNames) dnsName.run(time, time, row, name);
  }
}

/** Seeded databases of a run of the bench, each written once and copied for each row that needs it. */
export interface SeedFiles {
  /** Puts a database with so many entries at `to`; what was there, with its logs, is gone. */
  copyTo(to: string, entries: number): void;
}

/** @param folder where the originals are kept */
export function seedFiles(folder: string, trustDomain: string, now: () => number): SeedFiles {
  const written = new Map<number, string>();
  const original = (entries: number): string => {
    const known = written.get(entries);
    if (known !== undefined) return known;
    const file = path.join(folder, `seed-${entries}.sqlite3`);
    rmSync(file, { force: true });
    writeSeedDatabase(file, seedEntries(trustDomain, entries), now());
    written.set(entries, file);
    return file;
  };
  return {
    copyTo(to, entries) {
      const from = original(entries);
      for (const suffix of ['', '-wal', '-shm']) rmSync(to + suffix, { force: true });
      copyFileSync(from, to, constants.COPYFILE_FICLONE);
    },
  };
}
