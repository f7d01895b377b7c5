import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../common/clock.ts';
import { parseConfigText } from '../../../common/config/hcl.ts';
import { decode } from '../../../common/config/schema.ts';
import { silentLogger } from '../../../common/log/logger.ts';
import { sqliteTests } from '../../../test/support/sqlite.ts';
import { home, newEntry } from './conformance/samples.ts';
import { type SqlConfig, sqlConfig } from './config.ts';
import { sqlDataStore } from './sql.ts';

const read = (text: string): SqlConfig => decode(sqlConfig, parseConfigText(text, 'server.conf'), 'DataStore "sql"');

describe('configuration of DataStore "sql"', () => {
  it('reads every key of the reference', () => {
    const config = read(`
      database_type = "sqlite3"
      connection_string = "./data/datastore.sqlite3"
      ro_connection_string = "./data/ro.sqlite3"
      root_ca_path = "a"
      client_cert_path = "b"
      client_key_path = "c"
      max_open_conns = 5
      max_idle_conns = 2
      conn_max_lifetime = "1h"
      disable_migration = true
      log_sql = true
    `);
    expect(config).toMatchObject({
      connection_string: './data/datastore.sqlite3',
      disable_migration: true,
      log_sql: true,
    });
    expect(read('database_type = "sqlite3"\nconnection_string = "x"')).toMatchObject({
      disable_migration: false,
      log_sql: false,
      ro_connection_string: undefined,
    });
  });

  it.each([
    ['database_type = "postgres"', 'server.conf:1', '"postgres" is not implemented: this build has "sqlite3" only'],
    ['database_type = "mysql"', 'server.conf:1', '"mysql" is not implemented'],
    ['database_type "aws_mysql" { region = "x" }', 'server.conf:1', '"aws_mysql" is not implemented'],
    ['database_type = [{ aws_postgres = { region = "x" } }]', 'server.conf:1', '"aws_postgres" is not implemented'],
    ['database_type = "oracle"', 'server.conf:1', 'unknown database type "oracle"'],
    ['connection_string = "x"', 'server.conf:1', 'database_type: must be configured'],
    ['database_type = "sqlite3"\nconnection_string = "mysql://x"', 'server.conf:2', 'unsupported scheme "mysql"'],
    ['database_type = "sqlite3"\nconnection_strng = "x"', 'server.conf:2', 'connection_strng'],
    ['database_type = "sqlite3"\nconnection_string = ""', 'server.conf:2', 'connection_string'],
  ])('refuses %s', (text, place, problem) => {
    const full = text.includes('connection_str') ? text : `${text}\nconnection_string = "x"`;
    expect(() => read(full)).toThrow(
      expect.objectContaining({ code: 'invalid-argument', message: expect.stringContaining(problem) }),
    );
    expect(() => read(full)).toThrow(place);
  });
});

describe('DataStore "sql"', () => {
  const { path } = sqliteTests();

  it('opens what the configuration names', async () => {
    const file = path('datastore.sqlite3');
    const config = read(`database_type = "sqlite3"\nconnection_string = "${file}"`);
    const context = { trustDomain: home, clock: new ManualClock(), log: silentLogger };
    const store = await sqlDataStore.create(config, context, undefined);
    await store.entries.create(newEntry());
    await store.close();
    await store.close();
    expect(existsSync(file)).toBe(true);
    expect(existsSync(`${file}-wal`)).toBe(false);
    await expect(store.entries.count()).rejects.toMatchObject({ code: 'unavailable' });
    const again = await sqlDataStore.create(config, context, undefined);
    expect(await again.entries.count()).toBe(1);
    await again.close();
  });
});
