import type { CompiledQuery, DatabaseConnection, Driver, QueryResult } from 'kysely';
import type { Clock } from '../../../../common/clock.ts';
import type { SqliteConnection, SqliteStatement } from './connection.ts';
import { fromSqlite, isBusy } from './errors.ts';

/** How long a transaction waits for another process's lock. */
const BUSY_WAIT_MS = 10_000;
/** Pause between two attempts; the process goes on with other work meanwhile. */
const BUSY_PAUSE_MS = 10;
/** Prepared statements kept; the queries of the stores are a few dozen, listings by filter add variants. */
const MAX_STATEMENTS = 256;

/** The connection to run statements on. */
export interface SqliteDriverOptions {
  readonly connection: SqliteConnection;
  readonly file: string;
  readonly clock: Clock;
  /** Writers take the lock at once: one that reads first and writes then could find its snapshot overtaken. */
  readonly begin: 'begin' | 'begin immediate';
}

/** Runs the queries of one connection, one transaction after the other, in the order of asking. */
export class SqliteDriver implements Driver {
  readonly #options: SqliteDriverOptions;
  readonly #connection: KyselyConnection;
  #last: Promise<void> = Promise.resolve();
  #release: () => void = () => undefined;

  constructor(options: SqliteDriverOptions) {
    this.#options = options;
    this.#connection = new KyselyConnection(options.connection, options.file);
  }

  async init(): Promise<void> {
    // The connection is open already.
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    const before = this.#last;
    let release = (): void => undefined;
    this.#last = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    this.#release = release;
    return this.#connection;
  }

  async releaseConnection(): Promise<void> {
    this.#release();
  }

  async beginTransaction(): Promise<void> {
    const { file, clock, begin } = this.#options;
    const giveUp = clock.steady() + BUSY_WAIT_MS;
    for (;;) {
      try {
        this.#connection.run(begin);
        return;
      } catch (error) {
        if (!isBusy(error) || clock.steady() >= giveUp) throw fromSqlite(error, file);
      }
      await clock.sleep(BUSY_PAUSE_MS);
    }
  }

  async commitTransaction(): Promise<void> {
    this.#end('commit');
  }

  async rollbackTransaction(): Promise<void> {
    // After some errors, such as a full disk, SQLite has rolled back by itself.
    if (this.#options.connection.inTransaction) this.#end('rollback');
  }

  /** Waits for what was asked before; the connection belongs to whoever opened it. */
  async destroy(): Promise<void> {
    await this.#last;
  }

  #end(statement: 'commit' | 'rollback'): void {
    try {
      this.#connection.run(statement);
    } catch (error) {
      throw fromSqlite(error, this.#options.file);
    }
  }
}

class KyselyConnection implements DatabaseConnection {
  readonly #connection: SqliteConnection;
  readonly #file: string;
  readonly #statements = new Map<string, SqliteStatement>();

  constructor(connection: SqliteConnection, file: string) {
    this.#connection = connection;
    this.#file = file;
  }

  /** Runs a statement without parameters or rows; throws what SQLite throws. */
  run(text: string): void {
    this.#prepare(text).run();
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    try {
      const statement = this.#prepare(sql);
      const bound = parameters.map(bindable);
      // Kysely states what rows of this query look like; the engine cannot know.
      if (statement.reader) return { rows: statement.all(...bound) as R[] };
      const { changes, lastInsertRowid } = statement.run(...bound);
      return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
    } catch (error) {
      throw fromSqlite(error, this.#file);
    }
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new TypeError('queries of this datastore are read in pages, not streamed');
  }

  #prepare(text: string): SqliteStatement {
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    const statement = this.#connection.prepare(text);
    const oldest = this.#statements.keys().next();
    if (this.#statements.size >= MAX_STATEMENTS && oldest.done !== true) this.#statements.delete(oldest.value);
    this.#statements.set(text, statement);
    return statement;
  }
}

/** The engines take no booleans; SQLite keeps them as 0 and 1. */
function bindable(parameter: unknown): unknown {
  return typeof parameter === 'boolean' ? Number(parameter) : parameter;
}
