import { chmodSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../../common/clock.ts';
import type { Logger } from '../../../../common/log/logger.ts';
import { sqliteTests } from '../../../../test/support/sqlite.ts';
import { newEntry } from '../conformance/samples.ts';
import { pragma } from './connection.ts';
import { fromSqlite } from './errors.ts';

describe('opening a SQLite database', () => {
  const { path, open, raw } = sqliteTests();
  const refusal = (code: string, ...parts: string[]) => ({
    code,
    message: expect.stringMatching(new RegExp(`^datastore-sql: .*${parts.join('.*')}`)),
  });

  it('creates the file under the umask, with write-ahead logging', async () => {
    const file = path();
    const before = process.umask(0o027);
    try {
      await open(file);
    } finally {
      process.umask(before);
    }
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(statSync(`${file}-wal`).mode & 0o777).toBe(0o640);
    expect(pragma(raw(file), 'journal_mode')).toBe('wal');
  });

  it('takes relative paths, file URIs with odd names, and memory', async () => {
    const file = path('odd name?.sqlite3');
    await open(`file:${encodeURIComponent(relative(process.cwd(), file)).replaceAll('%2F', '/')}`);
    expect(statSync(file).isFile()).toBe(true);
    const memory = await open(':memory:');
    await memory.entries.create(newEntry({ id: 'e' }));
    expect(await memory.entries.get('e')).toMatchObject({ id: 'e' });
    expect(await (await open(':memory:')).entries.count()).toBe(0);
  });

  it('names the file whose directory or self is missing', async () => {
    const file = path('missing/data.sqlite3');
    await expect(open(file)).rejects.toMatchObject(refusal('failed-precondition', file, 'directory does not exist'));
    const uri = `file:${path('absent.sqlite3')}?mode=rw`;
    await expect(open(uri)).rejects.toMatchObject(refusal('failed-precondition', 'absent', 'file does not exist'));
  });

  it('refuses what is no database, and does not touch it', async () => {
    const file = path();
    writeFileSync(file, 'not a database, but long enough for a header'.repeat(40));
    const before = readFileSync(file);
    await expect(open(file)).rejects.toMatchObject(refusal('data-loss', file, 'not a SQLite database'));
    expect(readFileSync(file)).toEqual(before);
    const directory = path('directory.sqlite3');
    mkdirSync(directory);
    await expect(open(directory)).rejects.toMatchObject(refusal('failed-precondition', directory, 'cannot be opened'));
  });

  it('refuses a damaged database, and does not touch it', async () => {
    const file = path();
    const store = await open(file);
    for (let n = 0; n < 50; n += 1)
      await store.entries.create(newEntry({ hint: `${n}`.repeat(200), dnsNames: [`${n}`] }));
    await store.close();
    truncateSync(file, 8192);
    const before = readFileSync(file);
    await expect(open(file)).rejects.toMatchObject(refusal('data-loss', file, 'damaged'));
    expect(readFileSync(file)).toEqual(before);
  });

  it('refuses a database that it may not write', async () => {
    const file = path('locked-away/data.sqlite3');
    mkdirSync(dirname(file));
    await (await open(file)).close();
    chmodSync(file, 0o444);
    chmodSync(dirname(file), 0o555);
    // Root may write anyway; whoever else runs this is somebody already.
    const root = process.geteuid?.() === 0;
    chmodSync(dirname(dirname(file)), 0o755);
    if (root) process.seteuid?.(65_534);
    try {
      await expect(open(file)).rejects.toMatchObject(refusal('failed-precondition', file));
    } finally {
      if (root) process.seteuid?.(0);
      chmodSync(dirname(file), 0o755);
    }
  });

  it('says when another process holds the database', async () => {
    const file = path();
    await (await open(file)).close();
    const other = raw(file);
    pragma(other, 'locking_mode = EXCLUSIVE');
    other.exec('BEGIN EXCLUSIVE; UPDATE migrations SET version = version');
    await expect(open(file, { openTimeoutMs: 10 })).rejects.toMatchObject(
      refusal('unavailable', file, 'locked by another process'),
    );
  });

  it('waits for the lock of another writer without blocking, and gives up in the end', async () => {
    const file = path();
    const waiting = new ManualClock();
    const store = await open(file, { waiting });
    const other = raw(file);
    other.exec('BEGIN IMMEDIATE');
    const waits = store.entries.create(newEntry({ id: 'waits' }));
    await waiting.advance(500);
    expect(await store.entries.count()).toBe(0);
    other.exec('COMMIT');
    await waiting.advance(10);
    expect((await waits).entry.id).toBe('waits');

    other.exec('BEGIN IMMEDIATE');
    const outcome = store.entries.delete('waits').catch((error: unknown) => error);
    for (let n = 0; n < 12; n += 1) await waiting.advance(1000);
    expect(await outcome).toMatchObject(refusal('unavailable', file, 'locked'));
    other.exec('COMMIT');
    expect(await store.entries.delete('waits')).toMatchObject({ id: 'waits' });
  });

  it('reads what is committed while a transaction of ours is open', async () => {
    const file = path();
    const store = await open(file);
    const writes = Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        store.entries.create(newEntry({ hint: 'h', dnsNames: [`${n}`], selectors: [{ type: 'n', value: `${n}` }] })),
      ),
    );
    for (let n = 0; n < 20; n += 1) {
      for (const entry of (await store.entries.list({})).entries) {
        expect(entry.selectors).toHaveLength(1);
        expect(entry.dnsNames).toHaveLength(1);
      }
    }
    await writes;
    expect(await store.entries.count()).toBe(20);
  });

  it('logs statements without their parameters, when asked', async () => {
    const lines: string[] = [];
    const line = (message: string, fields?: object): void => void lines.push(message + JSON.stringify(fields));
    const log: Logger = { error: line, warn: line, info: line, debug: line, trace: line, with: () => log };
    const store = await open(path(), { log, logSql: true });
    await store.joinTokens.create({ token: 'very-secret', expiresAt: 5 });
    expect(lines.join('\n')).toContain('insert into \\"join_tokens\\"');
    expect(lines.join('\n')).not.toContain('very-secret');
    lines.length = 0;
    const quiet = await open(path(), { log });
    await quiet.joinTokens.create({ token: 'very-secret', expiresAt: 5 });
    expect(lines.filter((one) => one.includes('insert'))).toEqual([]);
  });
});

describe('fromSqlite', () => {
  it.each([
    ['SQLITE_CONSTRAINT_UNIQUE', 'already-exists', 'datastore-sql: said'],
    [
      'SQLITE_BUSY_SNAPSHOT',
      'unavailable',
      'datastore-sql: database "f" is locked by another process (SQLITE_BUSY_SNAPSHOT)',
    ],
    ['SQLITE_FULL', 'resource-exhausted', 'datastore-sql: database "f" cannot grow: the disk is full (SQLITE_FULL)'],
    [
      'SQLITE_READONLY_DIRECTORY',
      'failed-precondition',
      'datastore-sql: database "f" cannot be written to (SQLITE_READONLY_DIRECTORY)',
    ],
    ['SQLITE_CORRUPT_INDEX', 'data-loss', 'datastore-sql: database "f" is damaged (SQLITE_CORRUPT_INDEX)'],
    ['SQLITE_ERROR', 'internal', 'datastore-sql: said'],
  ])('%s is %s', (sqlite, code, message) => {
    expect(fromSqlite(Object.assign(new Error('said'), { code: sqlite }), 'f')).toMatchObject({ code, message });
  });

  it.each([
    [5, 'unavailable', 'datastore-sql: database "f" is locked by another process (SQLITE_BUSY)'],
    [13, 'resource-exhausted', 'datastore-sql: database "f" cannot grow: the disk is full (SQLITE_FULL)'],
    [1032, 'failed-precondition', 'datastore-sql: database "f" cannot be written to (SQLITE_READONLY)'],
    [2067, 'already-exists', 'datastore-sql: said'],
    [1, 'internal', 'datastore-sql: said'],
  ])('result code %d of the built-in engine is %s', (errcode, code, message) => {
    const thrown = Object.assign(new Error('said'), { code: 'ERR_SQLITE_ERROR', errcode });
    expect(fromSqlite(thrown, 'f')).toMatchObject({ code, message });
  });
});
