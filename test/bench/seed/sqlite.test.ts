import { describe, expect, it } from 'vitest';
import { schemaOf, sqliteTests } from '../../support/sqlite.ts';
import { groupId, groupsOf, seedEntries, seedEntry } from './entries.ts';
import { seedFiles, writeSeedDatabase } from './sqlite.ts';
import path from 'node:path';

const TRUST_DOMAIN = 'bench.example';
const NOW = Date.UTC(2026, 0, 1);

describe('a seeded database', () => {
  const { path: fresh, open, raw } = sqliteTests();

  it('has the schema and the version that a server makes itself', async () => {
    const seeded = fresh();
    writeSeedDatabase(seeded, seedEntries(TRUST_DOMAIN, 3), NOW);
    const own = fresh();
    await open(own);
    const sorted = (file: string) => schemaOf(raw(file)).objects.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    expect(sorted(seeded)).toEqual(sorted(own));
    expect(schemaOf(raw(seeded)).columns).toEqual(schemaOf(raw(own)).columns);
    const versions = (file: string) => raw(file).prepare('SELECT version, code_version FROM migrations').all();
    expect(versions(seeded)).toEqual(versions(own));
  });

  it('gives a server the entries that were asked for', async () => {
    const file = fresh();
    writeSeedDatabase(file, seedEntries(TRUST_DOMAIN, 25), NOW);
    const { entries } = await (await open(file)).entries.list({});
    expect(entries).toHaveLength(25);
    for (const [n, entry] of entries.entries()) {
      expect(entry).toMatchObject({ ...seedEntry(TRUST_DOMAIN, n, 25), createdAt: NOW / 1000, revisionNumber: 0 });
    }
    expect(raw(file).prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
  });

  it('is written once and copied, and what was there before is gone', async () => {
    const to = fresh();
    const before = await open(to);
    await before.close();
    let written = 0;
    const files = seedFiles(path.dirname(to), TRUST_DOMAIN, () => {
      written += 1;
      return NOW;
    });
    for (const _each of [1, 2]) {
      files.copyTo(to, 7);
      const store = await open(to);
      expect(await store.entries.count()).toBe(7);
      await store.entries.delete(seedEntry(TRUST_DOMAIN, 0, 7).id);
      await store.close();
    }
    expect(written).toBe(1);
  });
});

describe('the entries', () => {
  it('belong to groups of at most 10,000', () => {
    expect([0, 1, 10_000, 10_001, 1_000_000].map(groupsOf)).toEqual([1, 1, 1, 2, 100]);
    const parents = [...seedEntries(TRUST_DOMAIN, 20_001)].map(({ parentId }) => parentId);
    expect(parents.filter((one) => one === groupId(TRUST_DOMAIN, 0))).toHaveLength(6667);
  });

  it('all differ in ID and selectors', () => {
    const entries = [...seedEntries(TRUST_DOMAIN, 2000)];
    expect(new Set(entries.map(({ id }) => id)).size).toBe(2000);
    expect(new Set(entries.map(({ selectors }) => JSON.stringify(selectors))).size).toBe(2000);
  });
});
