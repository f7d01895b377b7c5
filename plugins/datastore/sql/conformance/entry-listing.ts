import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DataStore, EntryFilter, SetMatch } from '../contract.ts';
import {
  agentId,
  bundleOf,
  friend,
  home,
  id,
  newEntry,
  type OpenTestDatabase,
  opener,
  selectors,
  stranger,
} from './samples.ts';

/** Filters, order and paging of entries. */
export function describeEntryListing(open: OpenTestDatabase): void {
  const start = opener(open);

  const listed = async (store: DataStore, filter: EntryFilter): Promise<string[]> => {
    const ids = (await store.entries.list({ filter })).entries.map((entry) => entry.id);
    expect(await store.entries.count(filter)).toBe(ids.length);
    return ids;
  };

  describe('entry listing', () => {
    it('filters by SPIFFE ID, parent, hint and downstream, all at once', async () => {
      const { store } = await start();
      await store.entries.create(newEntry({ id: '1', hint: 'h' }));
      await store.entries.create(newEntry({ id: '2', spiffeId: id('/b'), downstream: true }));
      await store.entries.create(
        newEntry({ id: '3', spiffeId: id('/b'), parentId: id('/p'), hint: 'h', downstream: true }),
      );
      expect(await listed(store, {})).toEqual(['1', '2', '3']);
      expect(await listed(store, { spiffeId: id('/b') })).toEqual(['2', '3']);
      expect(await listed(store, { parentId: agentId })).toEqual(['1', '2']);
      expect(await listed(store, { spiffeId: id('/b'), parentId: agentId })).toEqual(['2']);
      expect(await listed(store, { hint: 'h' })).toEqual(['1', '3']);
      expect(await listed(store, { hint: '' })).toEqual(['1', '2', '3']);
      expect(await listed(store, { downstream: true })).toEqual(['2', '3']);
      expect(await listed(store, { downstream: false })).toEqual(['1', '2', '3']);
      expect(await listed(store, { hint: 'h', downstream: true, parentId: id('/p') })).toEqual(['3']);
      expect(await listed(store, { parentId: id('/nobody') })).toEqual([]);
    });

    it('filters by how sets of selectors relate', async () => {
      const { store } = await start();
      const sets = { a: ['t:a'], ab: ['t:a', 't:b'], abc: ['t:a', 't:b', 't:c'], c: ['t:c'], x: ['u:a'] };
      for (const [name, set] of Object.entries(sets)) {
        await store.entries.create(newEntry({ id: name, selectors: selectors(...set) }));
      }
      const by = (match: SetMatch, ...texts: string[]): Promise<string[]> =>
        listed(store, { selectors: { match, selectors: selectors(...texts) } });
      expect(await by('exact', 't:b', 't:a', 't:a')).toEqual(['ab']);
      expect(await by('subset', 't:a', 't:b')).toEqual(['a', 'ab']);
      expect(await by('superset', 't:a', 't:b')).toEqual(['ab', 'abc']);
      expect(await by('any', 't:b', 't:c')).toEqual(['ab', 'abc', 'c']);
      expect(await by('any', 't:nothing')).toEqual([]);
      await expect(by('any')).rejects.toMatchObject({ code: 'invalid-argument' });
    });

    it('filters by how sets of federated trust domains relate; an entry with none never matches', async () => {
      const { store } = await start();
      for (const trustDomain of [home, friend, stranger]) await store.bundles.set(bundleOf({ trustDomain }));
      const sets = { none: [], f: [friend], fs: [friend, stranger], fsh: [friend, stranger, home] };
      for (const [name, federatesWith] of Object.entries(sets)) {
        await store.entries.create(newEntry({ id: name, spiffeId: id(`/${name}`), federatesWith }));
      }
      const by = (match: SetMatch): Promise<string[]> =>
        listed(store, { federatesWith: { match, trustDomains: [stranger, friend, friend] } });
      expect(await by('exact')).toEqual(['fs']);
      expect(await by('subset')).toEqual(['f', 'fs']);
      expect(await by('superset')).toEqual(['fs', 'fsh']);
      expect(await by('any')).toEqual(['f', 'fs', 'fsh']);
    });

    it('agrees with the plain meaning of each match on any sets', async () => {
      const { store } = await start();
      const set = fc.uniqueArray(fc.constantFrom('t:a', 't:b', 't:c', 'u:a'), { minLength: 1 });
      const known: string[][] = [];
      for (const texts of fc.sample(set, { numRuns: 25, seed: 7 })) {
        const spiffeId = id(`/w${known.length}`);
        await store.entries.create(newEntry({ id: `${known.length}`, spiffeId, selectors: selectors(...texts) }));
        known.push(texts);
      }
      const matches: Record<SetMatch, (own: string[], wanted: string[]) => boolean> = {
        exact: (own, wanted) => own.length === wanted.length && own.every((one) => wanted.includes(one)),
        subset: (own, wanted) => own.every((one) => wanted.includes(one)),
        superset: (own, wanted) => wanted.every((one) => own.includes(one)),
        any: (own, wanted) => own.some((one) => wanted.includes(one)),
      };
      for (const wanted of fc.sample(set, { numRuns: 12, seed: 8 })) {
        for (const match of Object.keys(matches) as SetMatch[]) {
          const expected = known.flatMap((own, n) => (matches[match](own, wanted) ? [`${n}`] : []));
          expect(await listed(store, { selectors: { match, selectors: selectors(...wanted) } })).toEqual(expected);
        }
      }
    });

    it('walks pages by token, whole and filtered', async () => {
      const { store } = await start();
      for (let n = 0; n < 7; n += 1) {
        await store.entries.create(newEntry({ id: `${n}`, spiffeId: id(`/w${n}`), downstream: n % 2 === 0 }));
      }
      await store.entries.delete('3');
      const walk = async (size: number, filter: EntryFilter): Promise<string[][]> => {
        const pages: string[][] = [];
        for (let token = ''; ; ) {
          const { entries, nextToken } = await store.entries.list({ filter, page: { size, token } });
          pages.push(entries.map((entry) => entry.id));
          expect(nextToken !== '').toBe(entries.length > 0);
          if (nextToken === '') return pages;
          token = nextToken;
        }
      };
      expect(await walk(2, {})).toEqual([['0', '1'], ['2', '4'], ['5', '6'], []]);
      expect(await walk(3, { downstream: true })).toEqual([['0', '2', '4'], ['6'], []]);
      expect(await walk(9, { spiffeId: id('/w5') })).toEqual([['5'], []]);
      expect((await store.entries.list({ page: { size: 0, token: 'ignored' } })).entries).toHaveLength(6);
    });

    it.each(['x', '-1', '1.5', ' 1', '4294967296', '0x1'])('refuses the token %j', async (token) => {
      const { store } = await start();
      await expect(store.entries.list({ page: { size: 1, token } })).rejects.toMatchObject({
        code: 'invalid-argument',
        message: `could not parse token '${token}'`,
      });
    });

    it('lists and counts more rows than one step reads', async () => {
      const { store } = await start();
      for (let n = 0; n < 1100; n += 1) {
        await store.entries.create(newEntry({ id: `${n}`, spiffeId: id(`/w${n}`), downstream: n % 3 === 0 }));
      }
      expect((await listed(store, {})).length).toBe(1100);
      expect((await listed(store, { downstream: true })).length).toBe(367);
      const common = { match: 'any', selectors: selectors('unix:uid:1000', 'unix:uid:1') } as const;
      expect((await listed(store, { selectors: common })).length).toBe(1100);
      const { entries, nextToken } = await store.entries.list({ page: { size: 1050, token: '' } });
      expect(entries.map((entry) => entry.id)).toEqual(Array.from({ length: 1050 }, (_, n) => `${n}`));
      expect((await store.entries.list({ page: { size: 1050, token: nextToken } })).entries).toHaveLength(50);
    });
  });
}
