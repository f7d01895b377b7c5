import { describe, expect, it } from 'vitest';
import { sqliteTests } from '../../../../test/support/sqlite.ts';
import { engineName, immediately, openConnection, pragma } from './connection.ts';

describe('a connection', () => {
  const { path } = sqliteTests();

  it.each([
    ['20.20.2', 'better-sqlite3'],
    ['22.23.3', 'better-sqlite3'],
    ['24.0.0', 'node:sqlite'],
    ['26.1.0', 'node:sqlite'],
  ])('of Node.js %s is one of %s', (version, name) => {
    expect(engineName(version)).toBe(name);
  });

  it('reads what it wrote, binary columns as buffers', () => {
    const connection = openConnection(path(), { busyTimeoutMs: 100 });
    connection.exec('CREATE TABLE kept (id integer primary key, name text, data blob, big bigint)');
    const insert = connection.prepare('INSERT INTO kept (name, data, big) VALUES (?, ?, ?)');
    expect(insert.reader).toBe(false);
    expect(insert.run('a', Buffer.from([1, 2]), 2 ** 52)).toMatchObject({ changes: 1, lastInsertRowid: 1 });
    insert.run('b', null, null);
    const select = connection.prepare('SELECT * FROM kept WHERE id >= ? ORDER BY id');
    expect(select.reader).toBe(true);
    const rows = [
      { id: 1, name: 'a', data: Buffer.from([1, 2]), big: 2 ** 52 },
      { id: 2, name: 'b', data: null, big: null },
    ];
    expect(select.all(1).map((row) => ({ ...row }))).toEqual(rows);
    expect(Buffer.isBuffer(select.get(1)?.data)).toBe(true);
    expect([...select.iterate(1)].map((row) => ({ ...row }))).toEqual(rows);
    expect(select.get(3)).toBeUndefined();
    expect({ ...connection.prepare("UPDATE kept SET name = 'c' WHERE id = 2 RETURNING name").get() }).toEqual({
      name: 'c',
    });
    connection.close();
  });

  it('reads columns that another process has added since, each by its name', () => {
    const file = path();
    const connection = openConnection(file, { busyTimeoutMs: 100 });
    connection.exec("CREATE TABLE kept (id integer primary key, name text); INSERT INTO kept VALUES (1, 'a')");
    const select = connection.prepare('SELECT * FROM kept');
    expect(select.all()).toEqual([{ id: 1, name: 'a' }]);
    const other = openConnection(file, { busyTimeoutMs: 100 });
    other.exec("ALTER TABLE kept ADD COLUMN data blob; UPDATE kept SET data = x'0102'");
    const row = { id: 1, name: 'a', data: Buffer.from([1, 2]) };
    expect([select.all(), select.get(), ...select.iterate()]).toEqual([[row], row, row]);
    other.exec('ALTER TABLE kept DROP COLUMN name');
    expect(select.all()).toEqual([{ id: 1, data: row.data }]);
    other.close();
    connection.close();
  });

  it('rolls back a transaction that throws, and keeps one that does not', () => {
    const connection = openConnection(':memory:', { busyTimeoutMs: 100 });
    connection.exec('CREATE TABLE kept (id integer)');
    immediately(connection, () => connection.exec('INSERT INTO kept VALUES (1)'));
    expect(() =>
      immediately(connection, () => {
        expect(connection.inTransaction).toBe(true);
        connection.exec('INSERT INTO kept VALUES (2)');
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(connection.inTransaction).toBe(false);
    expect(connection.prepare('SELECT id FROM kept').all()).toHaveLength(1);
    connection.close();
  });

  it('answers a pragma, and sets one that has no answer', () => {
    const connection = openConnection(':memory:', { busyTimeoutMs: 100 });
    expect(pragma(connection, 'foreign_keys = ON')).toBeUndefined();
    expect(pragma(connection, 'foreign_keys')).toBe(1);
    connection.close();
  });
});
