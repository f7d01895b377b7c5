import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setImmediate } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { CHECKOUT } from '../../../../test/support/checkout.ts';
import { sqliteTests } from '../../../../test/support/sqlite.ts';
import { spiffeId } from '../../../../spiffe/id.ts';
import { parseTrustDomain } from '../../../../spiffe/trust-domain.ts';
import { pragma, type SqliteConnection } from './connection.ts';
import { type GroupedWrites, groupedWrites } from './grouped-writes.ts';

const { path: newPath, open, raw } = sqliteTests();

/** Groups on a connection of their own, with a table for numbers; `commits` counts what was committed. */
function begin() {
  const file = newPath();
  const connection = raw(file);
  pragma(connection, 'journal_mode = WAL');
  pragma(connection, 'foreign_keys = ON');
  connection.exec('CREATE TABLE kept (n integer primary key)');
  connection.exec('CREATE TABLE lent (n integer REFERENCES kept (n) DEFERRABLE INITIALLY DEFERRED)');
  const state = { commits: 0, now: 0 };
  const groups = groupedWrites<SqliteConnection>({
    async transaction(work) {
      connection.exec('BEGIN IMMEDIATE');
      try {
        const result = await work(connection);
        connection.exec('COMMIT');
        state.commits += 1;
        return result;
      } catch (error) {
        if (connection.inTransaction) connection.exec('ROLLBACK');
        throw error;
      }
    },
    execute: (statement) => connection.exec(statement),
    steady: () => state.now,
  });
  const reader = raw(file);
  const numbers = (): unknown[] =>
    reader
      .prepare('SELECT n FROM kept ORDER BY n')
      .all()
      .map(({ n }) => n);
  return { connection, groups, numbers, state };
}

const keep = (groups: GroupedWrites<SqliteConnection>, n: number): Promise<number> =>
  groups.write(async (tx) => {
    tx.prepare('INSERT INTO kept VALUES (?)').run(n);
    return n;
  });

describe('writes of one turn', () => {
  it('share one commit, in the order of asking', async () => {
    const { groups, numbers, state } = begin();
    const told: number[] = [];
    await Promise.all([3, 1, 2].map(async (n) => told.push(await keep(groups, n))));
    expect(told).toEqual([3, 1, 2]);
    expect(numbers()).toEqual([1, 2, 3]);
    expect(state.commits).toBe(1);
    await keep(groups, 4);
    expect(state.commits).toBe(2);
  });

  it('come along however late in the turn they ask', async () => {
    const { groups, state } = begin();
    const first = keep(groups, 1);
    for (let hops = 0; hops < 100; hops += 1) await Promise.resolve();
    await Promise.all([first, keep(groups, 2)]);
    expect(state.commits).toBe(1);
  });

  it('are not answered, and seen by nobody, before the commit', async () => {
    const { groups, numbers } = begin();
    const answered: number[] = [];
    const first = keep(groups, 1).then((n) => answered.push(n));
    const second = groups.write(async () => {
      // The first has done its work by now.
      for (let hops = 0; hops < 10; hops += 1) await Promise.resolve();
      expect(answered).toEqual([]);
      expect(numbers()).toEqual([]);
    });
    await Promise.all([first, second]);
    expect(numbers()).toEqual([1]);
  });

  it('fail each for itself', async () => {
    const { groups, numbers, state } = begin();
    await keep(groups, 2);
    const failing = groups.write(async (tx) => {
      tx.exec('INSERT INTO kept VALUES (7)');
      throw new Error('changed my mind');
    });
    const outcomes = await Promise.allSettled([keep(groups, 1), keep(groups, 2), failing, keep(groups, 3)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    await expect(failing).rejects.toThrow('changed my mind');
    expect(numbers()).toEqual([1, 2, 3]);
    expect(state.commits).toBe(2);
  });

  it('see what those before them did, and nothing of those who failed', async () => {
    const { groups } = begin();
    const seen = (): Promise<unknown> =>
      groups.write(async (tx) => tx.prepare('SELECT count(*) AS n FROM kept').get()?.n);
    const all = await Promise.allSettled([keep(groups, 1), seen(), keep(groups, 1), seen(), keep(groups, 2), seen()]);
    expect(all.map((one) => (one.status === 'fulfilled' ? one.value : 'failed'))).toEqual([1, 1, 'failed', 1, 2, 2]);
  });

  it('fail all when the commit does, and leave nothing', async () => {
    const { groups, numbers } = begin();
    // A debt that nobody pays until the commit.
    const lend = groups.write(async (tx) => tx.exec('INSERT INTO lent VALUES (99)'));
    const failed = groups.write(() => Promise.reject(new Error('its own')));
    const outcomes = await Promise.allSettled([keep(groups, 1), lend, failed, keep(groups, 2)]);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { message: 'FOREIGN KEY constraint failed' } });
    }
    expect(numbers()).toEqual([]);
    await keep(groups, 3);
    expect(numbers()).toEqual([3]);
  });

  it('fail all when the database takes back the transaction, and leave nothing', async () => {
    const { connection, groups, numbers } = begin();
    const lost = groups.write(async (tx) => {
      // As SQLite does itself when the disk is full.
      tx.exec('ROLLBACK');
      throw new Error('disk is full');
    });
    const outcomes = await Promise.allSettled([keep(groups, 1), lost, keep(groups, 2)]);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { message: 'disk is full' } });
    }
    expect(numbers()).toEqual([]);
    expect(connection.inTransaction).toBe(false);
    await keep(groups, 3);
    expect(numbers()).toEqual([3]);
  });

  it('are divided when they are many', async () => {
    const { groups, numbers, state } = begin();
    await Promise.all(Array.from({ length: 200 }, (_, n) => keep(groups, n)));
    expect(numbers()).toHaveLength(200);
    expect(state.commits).toBe(4);
  });

  it('are divided when they take long, and let the process have a turn between', async () => {
    const { groups, numbers, state } = begin();
    const slow = (n: number): Promise<number> =>
      groups.write(async (tx) => {
        tx.prepare('INSERT INTO kept VALUES (?)').run(n);
        state.now += 6;
        return n;
      });
    let turns = 0;
    const all = Promise.all([1, 2, 3, 4, 5].map(slow)).then(() => 'done');
    while ((await Promise.race([all, setImmediate('turn')])) === 'turn') turns += 1;
    expect(numbers()).toEqual([1, 2, 3, 4, 5]);
    expect(state.commits).toBe(3);
    expect(turns).toBeGreaterThanOrEqual(2);
  });

  it('are waited for', async () => {
    const { groups, numbers } = begin();
    for (let n = 0; n < 100; n += 1) void keep(groups, n);
    await groups.idle();
    expect(numbers()).toHaveLength(100);
  });
});

/** Writes tokens with entries, many at once, and tells each that it was promised. */
const WRITER = `
  const { writeSync } = require('node:fs');
  const { randomUUID } = require('node:crypto');
  const [, file, parent, openUrl, storeUrl, clockUrl, logUrl] = process.argv;
  void (async () => {
    const [{ openSqlite }, { sqlStore }, { systemClock: clock }, { silentLogger: log }] =
      await Promise.all([openUrl, storeUrl, clockUrl, logUrl].map((url) => import(url)));
    const database = await openSqlite({ connectionString: file, disableMigration: false, logSql: false, clock, log });
    const store = sqlStore({ database, clock, log, newId: randomUUID });
    const alias = (token) => ({
      parentId: parent, spiffeId: parent + '/' + token, selectors: [{ type: 'a', value: token }],
      x509SvidTtl: 0, jwtSvidTtl: 0, federatesWith: [], admin: false, downstream: false, expiresAt: 0, dnsNames: [],
      storeSvid: false, hint: '',
    });
    for (let writer = 0; writer < 16; writer += 1) {
      void (async () => {
        for (let n = 0; ; n += 1) {
          const token = writer + '-' + n;
          await store.joinTokens.create({ token, expiresAt: 5 }, alias(token));
          writeSync(1, token + '\\n');
        }
      })();
    }
  })();
`;

describe('writes of a process that is killed', () => {
  it('are all there when they were promised, and no half of any', async () => {
    const file = newPath();
    const parent = spiffeId(parseTrustDomain('td.example'), '/host');
    const modules = ['plugins/datastore/sql/sqlite/open.js', 'plugins/datastore/sql/store.js', 'common/clock.js'];
    const urls = [...modules, 'common/log/logger.js'].map(
      (name) => pathToFileURL(path.join(CHECKOUT, 'dist', name)).href,
    );
    const writer = spawn(process.execPath, ['-e', WRITER, file, parent, ...urls], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(writer, 'exit');
    const promised: string[] = [];
    for await (const token of createInterface({ input: writer.stdout })) {
      promised.push(token);
      if (promised.length === 200) writer.kill('SIGKILL');
    }
    expect(await exited).toEqual([null, 'SIGKILL']);
    const store = await open(file);
    const { entries } = await store.entries.list({});
    const aliases = entries.map(({ selectors }) => selectors[0]?.value ?? '');
    expect(new Set(aliases)).toEqual(new Set(tokensIn(file)));
    const kept = new Set(aliases);
    expect(promised.filter((token) => !kept.has(token))).toEqual([]);
  });
});

function tokensIn(file: string): string[] {
  return raw(file)
    .prepare('SELECT token FROM join_tokens')
    .all()
    .map(({ token }) => String(token));
}
