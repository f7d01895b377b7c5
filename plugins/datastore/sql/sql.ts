import { randomUUID } from 'node:crypto';
import { definePlugin } from '../../plugin.ts';
import { sqlConfig } from './config.ts';

/** `DataStore "sql"`: everything a server keeps, in tables that servers of the reference can use as well. */
export const sqlDataStore = definePlugin({
  type: 'DataStore',
  name: 'sql',
  config: sqlConfig,
  async create(config, { clock, log }) {
    if (config.ro_connection_string !== undefined && config.ro_connection_string !== '') {
      log.warn('A read-only connection has no use with sqlite3; reads go to the database of connection_string');
    }
    // Loaded when it is used: an agent knows this list of plugins too, and the query builder is 22 MB.
    const [{ openSqlite }, { sqlStore }] = await Promise.all([import('./sqlite/open.ts'), import('./store.ts')]);
    const database = await openSqlite({
      connectionString: config.connection_string,
      disableMigration: config.disable_migration,
      logSql: config.log_sql,
      clock,
      log,
    });
    return sqlStore({ database, clock, log, newId: randomUUID });
  },
});
