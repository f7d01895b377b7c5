import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../../common/clock.ts';
import type { Entry } from '../../../../spiffe/registration/entry.ts';
import {
  agentId,
  bundleOf,
  friend,
  id,
  newEntry,
  type OpenTestDatabase,
  opener,
  selectors,
  START_MS,
} from './samples.ts';

/** Creating, reading, changing and deleting entries. */
export function describeEntries(open: OpenTestDatabase): void {
  const start = opener(open);

  describe('entries', () => {
    it('keeps every field, and the order of selectors and DNS names', async () => {
      const { store, another } = await start();
      await store.bundles.set(bundleOf({ trustDomain: friend }));
      const full = newEntry({
        id: 'Entry_1.a-b',
        selectors: selectors('unix:uid:1', 'k8s:ns:a:b', 'unix:gid:0'),
        x509SvidTtl: 60,
        jwtSvidTtl: 30,
        federatesWith: [friend],
        admin: true,
        downstream: true,
        expiresAt: 4_102_444_800,
        dnsNames: ['b.example', 'a.example'],
        hint: 'internal',
        additionalAttributes: { disableX509SvidPrefetch: true, jwtSvidIncludeJti: true },
      });
      const expected: Entry = { ...full, id: 'Entry_1.a-b', revisionNumber: 0, createdAt: Math.round(START_MS / 1000) };
      expect(await store.entries.create(full)).toEqual({ entry: expected, existing: false });
      expect(await store.entries.get('Entry_1.a-b')).toEqual(expected);
      expect((await (await another()).entries.list({})).entries).toEqual([expected]);
    });

    it('gives an ID where there is none and leaves out attributes without a set switch', async () => {
      const { store } = await start();
      const none = { disableX509SvidPrefetch: false, jwtSvidIncludeJti: false };
      const { entry } = await store.entries.create(newEntry({ additionalAttributes: none }));
      expect(entry.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(entry).not.toHaveProperty('additionalAttributes');
      expect(await store.entries.get('nobody')).toBeUndefined();
    });

    it('returns the entry with the same ID, parent and selector set instead of a second one', async () => {
      const { store } = await start();
      const first = newEntry({ id: 'first', selectors: selectors('a:1', 'a:2') });
      await store.entries.create(first);
      const again = await store.entries.create({
        ...first,
        id: 'again',
        selectors: selectors('a:2', 'a:1', 'a:2'),
        hint: 'x',
      });
      expect(again).toMatchObject({ existing: true, entry: { id: 'first', hint: '' } });
      for (const other of [
        { ...first, id: 'fewer', selectors: selectors('a:1') },
        { ...first, id: 'more', selectors: selectors('a:1', 'a:2', 'a:3') },
        { ...first, id: 'parent', parentId: id('/other') },
        { ...first, id: 'spiffe', spiffeId: id('/other') },
      ]) {
        expect(await store.entries.create(other)).toMatchObject({ existing: false });
      }
      expect(await store.entries.count()).toBe(5);
      expect(await store.entries.events(0)).toHaveLength(5);
    });

    const refused: readonly [string, Parameters<typeof newEntry>[0], string][] = [
      ['no selectors', { selectors: [] }, 'invalid registration entry: missing selector list'],
      ['a bad ID', { id: 'bad id' }, 'invalid registration entry: entry ID contains invalid characters'],
      ['a long ID', { id: 'x'.repeat(256) }, 'invalid registration entry: entry ID too long'],
      ['a negative X.509 TTL', { x509SvidTtl: -1 }, 'invalid registration entry: X509SvidTtl is not set'],
      ['a negative JWT TTL', { jwtSvidTtl: -1 }, 'invalid registration entry: JwtSvidTtl is not set'],
      [
        'mixed selectors to store',
        { storeSvid: true, selectors: selectors('a:1', 'b:1') },
        'invalid registration entry: selector types must be the same when store SVID is enabled',
      ],
      [
        'storing without prefetch',
        { storeSvid: true, additionalAttributes: { disableX509SvidPrefetch: true, jwtSvidIncludeJti: false } },
        'specifying cache behaviour is incompatible with storable SVIDs',
      ],
    ];
    it.each(refused)('refuses %s', async (_, change, problem) => {
      const { store } = await start();
      await expect(store.entries.create(newEntry(change))).rejects.toMatchObject({
        code: 'invalid-argument',
        message: `datastore-validation: ${problem}`,
      });
      expect(await store.entries.count()).toBe(0);
    });

    it('keeps nothing of an entry that breaks a uniqueness rule', async () => {
      const { store } = await start();
      await store.entries.create(newEntry({ id: 'taken' }));
      for (const change of [
        { id: 'taken', spiffeId: id('/other') },
        { id: 'selectors', selectors: selectors('a:1', 'a:1') },
        { id: 'names', dnsNames: ['a', 'a'], selectors: selectors('a:2') },
      ]) {
        const error = await store.entries.create(newEntry(change)).catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: 'already-exists', message: expect.stringMatching(/^datastore-sql: /) });
      }
      expect((await store.entries.list({})).entries.map((entry) => entry.id)).toEqual(['taken']);
      expect(await store.entries.events(0)).toHaveLength(1);
    });

    it('refuses to federate with a trust domain that has no bundle', async () => {
      const { store } = await start();
      await expect(store.entries.create(newEntry({ federatesWith: [friend] }))).rejects.toMatchObject({
        code: 'internal',
        message: 'unable to find federated bundle "spiffe://friend.test"',
      });
      expect(await store.entries.count()).toBe(0);
      await store.bundles.set(bundleOf({ trustDomain: friend }));
      const { entry } = await store.entries.create(newEntry({ federatesWith: [friend, friend] }));
      expect(entry.federatesWith).toEqual([friend]);
    });
  });

  describe('entry updates', () => {
    it('replaces the named fields only and raises the revision even when nothing changed', async () => {
      const clock = new ManualClock(START_MS);
      const { store } = await start(clock);
      const { entry } = await store.entries.create(newEntry({ id: 'e', hint: 'before', dnsNames: ['a', 'b'] }));
      await clock.advance(60_000);
      const selectorsNow = selectors('a:1', 'a:2');
      const first = await store.entries.update({ id: 'e', selectors: selectorsNow, hint: 'ignored' }, ['selectors']);
      expect(first).toEqual({ ...entry, selectors: selectorsNow, revisionNumber: 1 });
      expect(await store.entries.update({ id: 'e' }, [])).toEqual({ ...first, revisionNumber: 2 });
      expect(await store.entries.get('e')).toEqual({ ...first, revisionNumber: 2 });
    });

    it('replaces every field when none is named, also with nothing', async () => {
      const { store } = await start();
      await store.bundles.set(bundleOf({ trustDomain: friend }));
      const attributes = { disableX509SvidPrefetch: true, jwtSvidIncludeJti: false };
      const before = newEntry({
        id: 'e',
        federatesWith: [friend],
        dnsNames: ['a'],
        hint: 'h',
        additionalAttributes: attributes,
      });
      await store.entries.create(before);
      const { createdAt, ...rest } = await store.entries.update({
        id: 'e',
        spiffeId: id('/new'),
        parentId: agentId,
        selectors: selectors('a:1'),
        dnsNames: ['z', 'y'],
        x509SvidTtl: 5,
      });
      expect(createdAt).toBe(Math.round(START_MS / 1000));
      const { id: _, ...zero } = newEntry({
        spiffeId: id('/new'),
        selectors: selectors('a:1'),
        dnsNames: ['z', 'y'],
        x509SvidTtl: 5,
      });
      expect(rest).toEqual({ ...zero, id: 'e', revisionNumber: 1 });
    });

    it('refuses what it may not store and leaves the entry as it was', async () => {
      const { store } = await start();
      const { entry } = await store.entries.create(newEntry({ id: 'e', selectors: selectors('a:1', 'b:1') }));
      const invalid = { code: 'invalid-argument', message: expect.stringMatching(/^datastore-validation: /) };
      const { entries } = store;
      await expect(entries.update({ id: 'e', selectors: [] }, ['selectors'])).rejects.toMatchObject(invalid);
      await expect(entries.update({ id: 'e', x509SvidTtl: -1 }, ['x509SvidTtl'])).rejects.toMatchObject(invalid);
      await expect(entries.update({ id: 'e', jwtSvidTtl: -1 }, ['jwtSvidTtl'])).rejects.toMatchObject(invalid);
      await expect(entries.update({ id: 'e', storeSvid: true }, ['storeSvid'])).rejects.toMatchObject(invalid);
      await expect(entries.update({ id: 'e' }, ['spiffeId'])).rejects.toMatchObject(invalid);
      await expect(entries.update({ id: 'e', federatesWith: [friend] }, ['federatesWith'])).rejects.toMatchObject({
        message: 'unable to find federated bundle "spiffe://friend.test"',
      });
      const twice = selectors('a:1', 'a:1');
      await expect(entries.update({ id: 'e', selectors: twice }, ['selectors'])).rejects.toMatchObject({
        code: 'already-exists',
      });
      expect(await entries.get('e')).toEqual(entry);
      expect(await entries.events(0)).toHaveLength(1);
    });

    it('does not find what is not there', async () => {
      const { store } = await start();
      const missing = { code: 'not-found', message: 'datastore-sql: record not found' };
      await expect(store.entries.update({ id: 'nope', hint: '' }, ['hint'])).rejects.toMatchObject(missing);
      await expect(store.entries.delete('nope')).rejects.toMatchObject(missing);
    });
  });

  describe('entry deletion and changes', () => {
    it('deletes an entry with its selectors, names and links', async () => {
      const { store } = await start();
      await store.bundles.set(bundleOf({ trustDomain: friend }));
      const sample = newEntry({ id: 'e', federatesWith: [friend], dnsNames: ['a'] });
      const { entry } = await store.entries.create(sample);
      expect(await store.entries.delete('e')).toEqual(entry);
      expect(await store.entries.get('e')).toBeUndefined();
      expect((await store.entries.create({ ...sample, dnsNames: [], federatesWith: [] })).entry).toEqual({
        ...entry,
        dnsNames: [],
        federatesWith: [],
      });
    });

    it('prunes only entries that expired before the given time', async () => {
      const { store } = await start();
      for (const [name, expiresAt] of [
        ['never', 0],
        ['past', 99],
        ['now', 100],
        ['future', 101],
      ] as const) {
        await store.entries.create(newEntry({ id: name, spiffeId: id(`/${name}`), expiresAt }));
      }
      expect((await store.entries.prune(100)).map((entry) => entry.id)).toEqual(['past']);
      expect((await store.entries.list({})).entries.map((entry) => entry.id)).toEqual(['never', 'now', 'future']);
    });

    it('prunes any number of entries', async () => {
      const { store } = await start();
      for (let n = 0; n < 230; n += 1) await store.entries.create(newEntry({ spiffeId: id(`/w${n}`), expiresAt: 5 }));
      expect(await store.entries.prune(6)).toHaveLength(230);
      expect(await store.entries.count()).toBe(0);
      expect(await store.entries.events(0)).toHaveLength(460);
    });

    it('writes an event with each change and tells listeners after the commit', async () => {
      const { store, another } = await start();
      const other = await another();
      const heard: (readonly string[])[] = [];
      const seenByOther: Promise<number>[] = [];
      const stop = store.entries.onChange((ids) => {
        heard.push(ids);
        seenByOther.push(other.entries.events(0).then((events) => events.length));
      });
      await store.entries.create(newEntry({ id: 'a' }));
      await store.entries.create(newEntry({ id: 'again' }));
      await store.entries.update({ id: 'a', expiresAt: 1 }, ['expiresAt']);
      await store.entries.create(newEntry({ id: 'b', spiffeId: id('/b') }));
      await store.entries.prune(2);
      await store.entries.delete('b');
      // Reads through another connection, which may also come after the next change.
      const seen = await Promise.all(seenByOther);
      expect(seen.map((count, index) => count > index)).toEqual([true, true, true, true, true]);
      stop();
      await store.entries.create(newEntry({ id: 'c' }));
      expect(heard).toEqual([['a'], ['a'], ['b'], ['a'], ['b']]);
      const events = await other.entries.events(0);
      expect(events.map((event) => event.key)).toEqual(['a', 'a', 'b', 'a', 'b', 'c']);
      expect(events.map((event) => event.eventId)).toEqual(
        [...events.map((event) => event.eventId)].sort((x, y) => x - y),
      );
      expect((await other.entries.events(events[3]?.eventId ?? 0)).map((event) => event.key)).toEqual(['b', 'c']);
    });

    it('goes on when a listener throws', async () => {
      const { store } = await start();
      const heard: string[] = [];
      store.entries.onChange(() => {
        throw new Error('listener');
      });
      store.entries.onChange((ids) => heard.push(...ids));
      await store.entries.create(newEntry({ id: 'a' }));
      expect(heard).toEqual(['a']);
    });
  });
}
