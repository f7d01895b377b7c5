import { existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import {
  Kysely,
  type LogEvent,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type Transaction,
} from 'kysely';
import { type Clock, systemClock } from '../../../../common/clock.ts';
import { messageOf } from '../../../../common/errors.ts';
import { CloseStack } from '../../../../common/lifecycle.ts';
import type { Logger } from '../../../../common/log/logger.ts';
import type { SqlDatabase } from '../database.ts';
import { sqlError } from '../errors.ts';
import { pause } from '../paging.ts';
import type { Tables } from '../tables.ts';
import { openConnection, pragma, type SqliteConnection } from './connection.ts';
import { SqliteDriver, type SqliteDriverOptions } from './driver.ts';
import { fromSqlite, namingFile } from './errors.ts';
import { type GroupedWrites, groupedWrites } from './grouped-writes.ts';
import { parseSqliteLocation, type SqliteLocation } from './location.ts';
import { migrateSqlite } from './migrate.ts';
import { sqliteValues } from './time.ts';

/** While opening, a lock of another process is waited for inside SQLite; afterwards by the driver, without blocking. */
const OPENING_BUSY_TIMEOUT_MS = 5000;
const READER_BUSY_TIMEOUT_MS = 20;
/** After so long, reads let other work of the process run. */
const TURN_MS = 10;

/** Which database to open, and how patiently. */
export interface SqliteOptions {
  /** A path, a `file:` URI or `:memory:`. */
  readonly connectionString: string;
  readonly disableMigration: boolean;
  /** Logs the text of each statement, never its parameters. */
  readonly logSql: boolean;
  /** How long opening waits for the lock of another process, in milliseconds; 5000 when absent. */
  readonly openTimeoutMs?: number;
  /** For the times in rows. */
  readonly clock: Clock;
  /** For waiting for other processes, which live in real time whatever `clock` says; the system's when absent. */
  readonly waiting?: Clock;
  readonly log: Logger;
}

/**
 * Opens the database, creating or migrating it as needed. One connection writes; another, on a file, reads, so that
 * readers see neither half of a transaction nor wait for one. A file is created with the process's umask.
 *
 * @throws FinialError whose message names the file
 */
export async function openSqlite(options: SqliteOptions): Promise<SqlDatabase> {
  const { log, waiting = systemClock } = options;
  const location = parseSqliteLocation(options.connectionString);
  log.info('Opening SQL database', { db_type: 'sqlite3' });
  for (const parameter of location.ignored) {
    log.warn('Ignoring unknown parameter of connection_string', { parameter });
  }
  warnOfEmptyFile(location, log);
  const opened = new CloseStack();
  try {
    const writer = openFile(location, options);
    opened.defer('connection', () => writer.close());
    configure(writer, location);
    migrateSqlite(writer, options);
    const inMemory = location.path === ':memory:';
    const reader = inMemory ? undefined : openFile({ ...location, mustExist: true }, options);
    if (reader !== undefined) {
      opened.defer('connection', () => reader.close());
      configure(reader, location);
      pragma(reader, 'query_only = ON');
    }
    // A writer waits when it begins, in the driver; a reader only while another process repairs the log after a crash.
    pragma(writer, 'busy_timeout = 0');
    if (reader !== undefined) pragma(reader, `busy_timeout = ${READER_BUSY_TIMEOUT_MS}`);
    const version = writer.prepare('SELECT sqlite_version() AS version').get()?.version;
    log.info('Connected to SQL database', { read_only: false, type: 'sqlite3', version });
    const shared = { file: location.path, clock: waiting };
    const writes = kyselyOn({ ...shared, connection: writer, begin: 'begin immediate' }, options);
    const reads = reader === undefined ? writes : kyselyOn({ ...shared, connection: reader, begin: 'begin' }, options);
    const grouped = groupedWrites<Transaction<Tables>>({
      transaction: (work) => writes.transaction().execute(work),
      execute: (statement) => execute(writer, statement, location),
      steady: () => waiting.steady(),
    });
    const database = toSqlDatabase({ writes, grouped, reads }, opened, waiting);
    if (inMemory) return database;
    const watcher = openFile({ ...location, mustExist: true }, options);
    opened.defer('connection', () => watcher.close());
    return { ...database, version: versionOf(watcher, location) };
  } catch (error) {
    await opened.close();
    throw namingFile(fromSqlite(error, location.path), location.path);
  }
}

/**
 * SQLite's data_version, which tells a connection of the commits of others. It has a connection of its own, as one that
 * is in a transaction goes on seeing what it saw at first.
 */
function versionOf(connection: SqliteConnection, { path }: SqliteLocation): () => number {
  pragma(connection, `busy_timeout = ${READER_BUSY_TIMEOUT_MS}`);
  const question = connection.prepare('PRAGMA data_version');
  return () => {
    try {
      return Number(question.get()?.data_version);
    } catch (error) {
      throw fromSqlite(error, path);
    }
  };
}

/** A file of no length is a database to SQLite, though a rare one: an operator may have lost one there. */
function warnOfEmptyFile({ path }: SqliteLocation, log: Logger): void {
  if (path === ':memory:' || statSync(path, { throwIfNoEntry: false })?.size !== 0) return;
  log.warn('Database file is empty; a new database is begun in it', { path });
}

function openFile({ path, mustExist }: SqliteLocation, options: SqliteOptions): SqliteConnection {
  const inMemory = path === ':memory:';
  if (!inMemory && !existsSync(dirname(resolve(path)))) {
    throw sqlError('failed-precondition', `cannot open database "${path}": its directory does not exist`);
  }
  if (mustExist && !inMemory && !existsSync(path)) {
    throw sqlError('failed-precondition', `cannot open database "${path}": the file does not exist`);
  }
  return openConnection(path, { busyTimeoutMs: options.openTimeoutMs ?? OPENING_BUSY_TIMEOUT_MS });
}

/** Foreign keys and write-ahead logging as in the reference; unlike there, a commit survives the loss of power. */
function configure(connection: SqliteConnection, { path }: SqliteLocation): void {
  const mode = pragma(connection, 'journal_mode = WAL');
  if (mode !== 'wal' && path !== ':memory:') {
    throw sqlError('failed-precondition', `database "${path}" cannot be used with write-ahead logging here`);
  }
  pragma(connection, 'foreign_keys = ON');
  pragma(connection, 'synchronous = FULL');
}

function kyselyOn(driver: SqliteDriverOptions, { logSql, log }: SqliteOptions): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new SqliteDriver(driver),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
    ...(logSql ? { log: (event: LogEvent) => logStatement(log, event) } : {}),
  });
}

function logStatement(log: Logger, event: LogEvent): void {
  const fields = { sql: event.query.sql, elapsed_ms: event.queryDurationMillis };
  if (event.level === 'query') log.debug('Ran SQL statement', fields);
  else log.error('SQL statement failed', { ...fields, error: messageOf(event.error) });
}

function execute(connection: SqliteConnection, statement: string, { path }: SqliteLocation): void {
  try {
    connection.exec(statement);
  } catch (error) {
    throw fromSqlite(error, path);
  }
}

interface Access {
  readonly writes: Kysely<Tables>;
  /** The same with transactions that are shared. */
  readonly grouped: GroupedWrites<Transaction<Tables>>;
  readonly reads: Kysely<Tables>;
}

function toSqlDatabase({ writes, grouped, reads }: Access, opened: CloseStack, clock: Clock): SqlDatabase {
  let closed = false;
  let turn = clock.steady();
  const requireOpen = (): void => {
    if (closed) throw sqlError('unavailable', 'the datastore is closed');
  };
  return {
    values: sqliteValues,
    async read(work) {
      requireOpen();
      // Nothing below waits for the outside, so a request with many transactions would shut out timers and sockets.
      if (clock.steady() - turn > TURN_MS) {
        await pause();
        turn = clock.steady();
      }
      return reads.transaction().execute(work);
    },
    async write(work) {
      requireOpen();
      return grouped.write(work);
    },
    async close() {
      if (closed) return;
      closed = true;
      await grouped.idle();
      await reads.destroy();
      await writes.destroy();
      await opened.close();
    },
  };
}
