import { describe, expect, it } from 'vitest';
import { type OpenTestDatabase, opener } from './samples.ts';

/** Journals of authorities. */
export function describeJournals(open: OpenTestDatabase): void {
  const start = opener(open);
  const first = { rowId: 0, data: Buffer.from([0, 1, 255]), activeX509AuthorityId: 'aa', activeJwtAuthorityId: 'kid' };

  describe('journals', () => {
    it('inserts, finds and updates', async () => {
      const { store, another } = await start();
      expect(await store.journals.find('aa')).toBeUndefined();
      const rowId = await store.journals.save(first);
      expect(rowId).toBeGreaterThan(0);
      expect(await (await another()).journals.find('aa')).toEqual({ ...first, rowId });
      const next = { ...first, rowId, data: Buffer.from('next'), activeX509AuthorityId: 'bb' };
      expect(await store.journals.save(next)).toBe(rowId);
      expect(await store.journals.find('aa')).toBeUndefined();
      expect(await store.journals.find('bb')).toEqual(next);
    });

    it('keeps the journals of several servers apart', async () => {
      const { store } = await start();
      const a = await store.journals.save(first);
      const b = await store.journals.save({ ...first, activeX509AuthorityId: 'bb', data: Buffer.alloc(0) });
      expect((await store.journals.list()).map((one) => [one.rowId, one.activeX509AuthorityId])).toEqual([
        [a, 'aa'],
        [b, 'bb'],
      ]);
      await store.journals.delete(a);
      await store.journals.delete(a);
      expect(await store.journals.list()).toMatchObject([{ rowId: b, data: Buffer.alloc(0) }]);
    });

    it('refuses to find a journal without an ID and to update one that is gone', async () => {
      const { store } = await start();
      await expect(store.journals.find('')).rejects.toMatchObject({
        code: 'invalid-argument',
        message: 'active X509 authority ID is required',
      });
      await expect(store.journals.save({ ...first, rowId: 99 })).rejects.toMatchObject({ code: 'not-found' });
    });
  });
}
