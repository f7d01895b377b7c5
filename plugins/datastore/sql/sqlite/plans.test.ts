import { describe, expect, it } from 'vitest';
import { type LogFields, type Logger, silentLogger } from '../../../../common/log/logger.ts';
import { sqliteTests } from '../../../../test/support/sqlite.ts';
import { agentId, attested, id, newEntry } from '../conformance/samples.ts';

/** How SQLite finds rows, for changes that must not take longer the more entries there are that they do not concern. */
describe('the search for entries', () => {
  const { path, open, raw } = sqliteTests();

  /** A store, and how the statements that it ran since the last look find entries. */
  async function begin() {
    const file = path();
    const ran: string[] = [];
    const debug = (_: string, { sql }: LogFields = {}): void => void (typeof sql === 'string' && ran.push(sql));
    const log: Logger = { ...silentLogger, debug };
    const store = await open(file, { logSql: true, log });
    const searches = (): string[] =>
      ran.splice(0).flatMap((sql) => {
        const explained = raw(file).prepare(`EXPLAIN QUERY PLAN ${sql}`);
        const steps = explained.all(...[...sql.matchAll(/\?/g)].map(() => null));
        return steps.map(({ detail }) => String(detail)).filter((detail) => /\bregistered_entries\b/.test(detail));
      });
    return { store, searches };
  }

  it('that expired passes over those that do not', async () => {
    const { store, searches } = await begin();
    for (const [n, expiresAt] of [0, 50, 100, -3, 99].entries()) {
      await store.entries.create(newEntry({ id: `e${n}`, spiffeId: id(`/${n}`), expiresAt }));
    }
    searches();
    expect((await store.entries.prune(100)).map((entry) => entry.id)).toEqual(['e3', 'e1', 'e4']);
    const found = searches();
    expect(found).toContainEqual(expect.stringContaining('idx_registered_entries_expiry'));
    expect(found.filter((detail) => detail.startsWith('SCAN'))).toEqual([]);
  });

  it('that came with a join token passes over the other entries of its node', async () => {
    const { store, searches } = await begin();
    const node = { ...attested(), attestationType: 'join_token' };
    await store.nodes.attested(node);
    const alias = { parentId: agentId, spiffeId: id('/host'), selectors: [{ type: 'spiffe_id', value: agentId }] };
    await store.entries.create(newEntry({ id: 'alias', ...alias }));
    const twice = [...alias.selectors, { type: 'a', value: 'b' }];
    await store.entries.create(newEntry({ id: 'other', ...alias, selectors: twice }));
    searches();
    await store.nodes.delete(agentId);
    const found = searches();
    expect(found).not.toEqual([]);
    expect(found.filter((detail) => /^SCAN|idx_registered_entries_parent_id/.test(detail))).toEqual([]);
    expect((await store.entries.list({})).entries.map((entry) => entry.id)).toEqual(['other']);
  });
});
