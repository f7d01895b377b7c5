import { describe, expect, it } from 'vitest';
import { id, newEntry, type OpenTestDatabase, opener, pick, selectors } from './samples.ts';

/** Join tokens. */
export function describeJoinTokens(open: OpenTestDatabase): void {
  const start = opener(open);

  describe('join tokens', () => {
    it('gives a token away once', async () => {
      const { store } = await start();
      await store.joinTokens.create({ token: 'one', expiresAt: 1_800_000_000 });
      expect(await store.joinTokens.consume('unknown')).toBeUndefined();
      expect(await store.joinTokens.consume('one')).toEqual({ expiresAt: 1_800_000_000 });
      expect(await store.joinTokens.consume('one')).toBeUndefined();
    });

    it('gives a token to exactly one of many who ask at once', async () => {
      const { store, another } = await start();
      const stores = [store, await another(), await another()];
      for (const token of ['a', 'b', 'c', 'd', 'e']) {
        await store.joinTokens.create({ token, expiresAt: 7 });
        const answers = await Promise.all(
          Array.from({ length: 30 }, (_, n) => pick(stores, n).joinTokens.consume(token)),
        );
        expect(answers.filter((answer) => answer !== undefined)).toEqual([{ expiresAt: 7 }]);
      }
    });

    it('refuses a token that is there already, and one without value or expiry', async () => {
      const { store } = await start();
      await store.joinTokens.create({ token: 'one', expiresAt: 5 });
      const error: unknown = await store.joinTokens
        .create({ token: 'one', expiresAt: 6 })
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'already-exists', message: expect.stringMatching(/^datastore-sql: /) });
      const incomplete = { code: 'invalid-argument', message: 'token and expiry are required' };
      await expect(store.joinTokens.create({ token: '', expiresAt: 5 })).rejects.toMatchObject(incomplete);
      await expect(store.joinTokens.create({ token: 'two', expiresAt: 0 })).rejects.toMatchObject(incomplete);
      expect(await store.joinTokens.consume('one')).toEqual({ expiresAt: 5 });
    });

    it('stores token and alias entry together or not at all', async () => {
      const { store } = await start();
      const parentId = id('/spire/agent/join_token/one');
      const alias = newEntry({ parentId, spiffeId: id('/host'), selectors: selectors(`spiffe_id:${parentId}`) });
      const heard: string[] = [];
      store.entries.onChange((ids) => heard.push(...ids));
      await store.joinTokens.create({ token: 'one', expiresAt: 5 }, alias);
      const { entries } = await store.entries.list({ filter: { parentId } });
      expect(entries).toMatchObject([alias]);
      expect(heard).toEqual(entries.map((entry) => entry.id));

      const broken = { ...alias, spiffeId: id('/other'), selectors: [] };
      await expect(store.joinTokens.create({ token: 'two', expiresAt: 5 }, broken)).rejects.toThrow('missing selector');
      expect(await store.joinTokens.consume('two')).toBeUndefined();
      const second = { ...alias, spiffeId: id('/other') };
      await expect(store.joinTokens.create({ token: 'one', expiresAt: 5 }, second)).rejects.toMatchObject({
        code: 'already-exists',
      });
      expect(await store.entries.count()).toBe(1);
      expect(heard).toHaveLength(1);
    });
  });
}
