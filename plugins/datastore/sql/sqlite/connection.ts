import { createRequire } from 'node:module';
import type BetterSqlite3 from 'better-sqlite3';

export type SqliteRow = Record<string, unknown>;

/** A prepared statement. Every method throws what the engine throws (errors.ts reads it). */
export interface SqliteStatement {
  /** Whether it gives rows. */
  readonly reader: boolean;
  all(...parameters: readonly unknown[]): SqliteRow[];
  get(...parameters: readonly unknown[]): SqliteRow | undefined;
  iterate(...parameters: readonly unknown[]): Iterable<SqliteRow>;
  run(...parameters: readonly unknown[]): {
    readonly changes: number | bigint;
    readonly lastInsertRowid: number | bigint;
  };
}

/** One open database, whichever engine runs it. Binary columns are read as `Buffer`. */
export interface SqliteConnection {
  readonly inTransaction: boolean;
  prepare(text: string): SqliteStatement;
  /** Runs statements that have neither parameters nor rows of interest. */
  exec(text: string): void;
  close(): void;
}

/** @param path a file or `:memory:`; `busyTimeoutMs`: how long SQLite itself waits for another process's lock */
export type SqliteEngine = (path: string, options: { readonly busyTimeoutMs: number }) => SqliteConnection;

/** The first Node.js whose own SQLite is stable enough to be used without a warning. */
const FIRST_NODE_WITH_SQLITE = 24;

/** Which of the engines a Node.js of this version uses. */
export function engineName(nodeVersion: string): 'node:sqlite' | 'better-sqlite3' {
  return Number.parseInt(nodeVersion, 10) >= FIRST_NODE_WITH_SQLITE ? 'node:sqlite' : 'better-sqlite3';
}

/**
 * Opens a connection with the SQLite inside Node.js where there is one, so that nothing has to be compiled, and with
 * better-sqlite3 elsewhere. Both write the same files. Only the one that is used gets loaded.
 */
export const openConnection: SqliteEngine = (path, options) => {
  const open = engineName(process.versions.node) === 'node:sqlite' ? openBuiltIn : openBetterSqlite3;
  return open(path, options);
};

/** Runs `PRAGMA text` and returns the first value of its answer, if it has one. */
export function pragma(connection: SqliteConnection, text: string): unknown {
  const [row] = connection.prepare(`PRAGMA ${text}`).all();
  return row === undefined ? undefined : Object.values(row)[0];
}

/** Runs `work` in a transaction that takes the write lock at once; rolls back when it throws. */
export function immediately(connection: SqliteConnection, work: () => void): void {
  connection.exec('BEGIN IMMEDIATE');
  try {
    work();
    connection.exec('COMMIT');
  } catch (error) {
    // After some errors, such as a full disk, SQLite has rolled back by itself.
    if (connection.inTransaction) connection.exec('ROLLBACK');
    throw error;
  }
}

/** A row as an array, which both engines make much faster than an object. */
type Values = readonly unknown[];

/** What the statements of both engines have in common when they give arrays. */
interface ValuesStatement {
  all(...parameters: readonly unknown[]): Values[];
  get(...parameters: readonly unknown[]): Values | undefined;
  iterate(...parameters: readonly unknown[]): Iterable<Values>;
  run(...parameters: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  columns(): readonly { readonly name: string; readonly type: string | null }[];
}

/**
 * Rows as objects that are quick to read: of those that the engines make themselves, better-sqlite3 takes long to make
 * them, and every access to one of `node:sqlite`, which has no prototype, is a search.
 */
function withRows(statement: ValuesStatement): SqliteStatement {
  let columns = columnsOf(statement);
  const toRow = (values: Values): SqliteRow => {
    // Another server may have given the table more columns since.
    if (values.length !== columns.length) columns = columnsOf(statement);
    const row: SqliteRow = {};
    let n = 0;
    for (const { name, binary } of columns) {
      const value = values[n];
      row[name] = binary && value instanceof Uint8Array ? asBuffer(value) : value;
      n += 1;
    }
    return row;
  };
  return {
    reader: columns.length > 0,
    all: (...parameters) => statement.all(...parameters).map(toRow),
    get(...parameters) {
      const values = statement.get(...parameters);
      return values && toRow(values);
    },
    *iterate(...parameters) {
      for (const values of statement.iterate(...parameters)) yield toRow(values);
    },
    run: (...parameters) => statement.run(...parameters),
  };
}

function columnsOf(statement: ValuesStatement): readonly { readonly name: string; readonly binary: boolean }[] {
  return statement.columns().map(({ name, type }) => ({ name, binary: type?.toLowerCase() === 'blob' }));
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const openBetterSqlite3: SqliteEngine = (path, { busyTimeoutMs }) => {
  const Database = createRequire(import.meta.url)('better-sqlite3') as typeof BetterSqlite3;
  const database = new Database(path, { timeout: busyTimeoutMs });
  return {
    get inTransaction() {
      return database.inTransaction;
    },
    prepare(text) {
      const statement = database.prepare<unknown[], Values>(text);
      if (statement.reader) return withRows(statement.raw(true));
      const run: SqliteStatement['run'] = (...parameters) => statement.run(...parameters);
      // PRAGMA assignments give rows or not, depending on the pragma.
      const none = (...parameters: readonly unknown[]): [] => (run(...parameters), []);
      return { reader: false, run, all: none, get: (...parameters) => void run(...parameters), iterate: none };
    },
    exec: (text) => void database.exec(text),
    close: () => void database.close(),
  };
};

/** As much of `node:sqlite` as is used here; the types of the oldest supported Node.js do not have it. */
interface BuiltIn {
  readonly DatabaseSync: new (
    path: string,
    options: { readonly timeout: number; readonly enableDoubleQuotedStringLiterals: boolean },
  ) => {
    readonly isOpen: boolean;
    readonly isTransaction: boolean;
    prepare(text: string): ValuesStatement & { setReturnArrays(on: boolean): void };
    exec(text: string): void;
    close(): void;
  };
}

const openBuiltIn: SqliteEngine = (path, { busyTimeoutMs }) => {
  const { DatabaseSync } = process.getBuiltinModule('node:sqlite') as BuiltIn;
  const database = new DatabaseSync(path, { timeout: busyTimeoutMs, enableDoubleQuotedStringLiterals: false });
  return {
    get inTransaction() {
      return database.isTransaction;
    },
    prepare(text) {
      const statement = database.prepare(text);
      statement.setReturnArrays(true);
      return withRows(statement);
    },
    exec: (text) => database.exec(text),
    // The other engine allows it twice.
    close: () => (database.isOpen ? database.close() : undefined),
  };
};
