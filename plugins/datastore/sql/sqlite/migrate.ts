import type { Clock } from '../../../../common/clock.ts';
import type { Logger } from '../../../../common/log/logger.ts';
import { sqlError } from '../errors.ts';
import { CODE_VERSION, planMigration, SCHEMA_VERSION, type StoredVersion } from '../migration-policy.ts';
import { immediately, type SqliteConnection } from './connection.ts';
import { createStatements, MIGRATIONS, TABLE_NAMES } from './schema.ts';
import { sqliteValues } from './time.ts';

/**
 * Creates the schema in an empty database or brings an older one up to date. Everything happens in one transaction that
 * holds the write lock from before the look at the version, so of several servers starting at once one does the work.
 *
 * @throws FinialError `failed-precondition` when the database cannot be used; what SQLite throws otherwise
 */
export function migrateSqlite(
  connection: SqliteConnection,
  options: { readonly disableMigration: boolean; readonly clock: Clock; readonly log: Logger },
): void {
  const { log } = options;
  immediately(connection, () => {
    const stored = storedVersion(connection);
    const plan = planMigration(stored, options);
    const now = sqliteValues.time(options.clock.now());
    if (plan.action === 'create') {
      log.info('Initializing new database');
      for (const statement of createStatements()) connection.exec(statement);
      connection
        .prepare('INSERT INTO migrations (created_at, updated_at, version, code_version) VALUES (?, ?, ?, ?)')
        .run(now, now, SCHEMA_VERSION, CODE_VERSION);
    } else if (plan.action === 'migrate') {
      log.info('Running migrations...', { schema: String(stored?.schema) });
      for (const step of plan.steps) runStep(connection, step);
      setVersion(connection, now);
      log.info('Done running migrations', { schema: String(SCHEMA_VERSION) });
    } else {
      if (plan.warning !== undefined) log.warn(plan.warning, { schema: String(stored?.schema) });
      if (plan.raiseCodeVersion) setVersion(connection, now);
    }
  });
}

function runStep(connection: SqliteConnection, version: number): void {
  const statements = MIGRATIONS[version];
  if (statements === undefined) throw sqlError('internal', `no migration leads to schema version ${version}`);
  for (const statement of statements) connection.exec(statement);
}

function setVersion(connection: SqliteConnection, now: unknown): void {
  connection
    .prepare('UPDATE migrations SET updated_at = ?, version = ?, code_version = ?')
    .run(now, SCHEMA_VERSION, CODE_VERSION);
}

/** The version in the database; undefined when it has none of our tables. */
function storedVersion(connection: SqliteConnection): StoredVersion | undefined {
  const tables = new Set(
    connection
      .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
      .all()
      .map(({ name }) => name),
  );
  if (!tables.has('migrations')) {
    const stray = TABLE_NAMES.find((name) => tables.has(name));
    if (stray === undefined) return undefined;
    throw sqlError('failed-precondition', `cannot use the database: it has a table ${stray} but no table migrations`);
  }
  const row = connection.prepare('SELECT * FROM migrations ORDER BY id LIMIT 1').get();
  const { version, code_version: code } = row ?? {};
  return { schema: typeof version === 'number' ? version : 0, code: typeof code === 'string' ? code : '' };
}
