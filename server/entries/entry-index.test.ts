import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../common/clock.ts';
import type { ChangeEvent, DataStore } from '../../plugins/datastore/sql/contract.ts';
import type { SpiffeId } from '../../spiffe/id.ts';
import { openEntryIndex, type EntryIndex } from './entry-index.ts';
import {
  addNode,
  type Harness,
  id,
  newEntry,
  openHarness,
  recordingLogger,
  trustDomain,
} from '../../test/support/server-api.ts';

const agent = id('/spire/agent/test/one');

let harness: Harness;
let clock: ManualClock;
let index: EntryIndex;
const stop = { controller: new AbortController() };

/** As another server would: it hears of changes only by events. */
const deaf = (store: DataStore) => ({
  entries: { ...store.entries, onChange: () => () => undefined },
  nodes: { ...store.nodes, onChange: () => () => undefined },
});

const open = async (stores: Pick<DataStore, 'entries' | 'nodes'>): Promise<void> => {
  clock = new ManualClock(harness.clock.now());
  const { log } = recordingLogger();
  const timing = { reloadInterval: 5000, fullReloadInterval: 60_000, eventTimeout: 900_000 };
  index = await openEntryIndex({ ...stores, ...timing, trustDomain, clock, log });
};

beforeEach(async () => {
  harness = await openHarness();
  stop.controller = new AbortController();
});

afterEach(async () => {
  stop.controller.abort();
  await index.close();
  await harness.close();
});

const names = (of: SpiffeId = agent): string[] =>
  index
    .authorized(of)
    .map((entry) => entry.id)
    .sort();
const create = (entryId: string, overrides: Parameters<typeof newEntry>[0] = {}) =>
  harness.store.entries.create({ ...newEntry({ spiffeId: id(`/${entryId}`), ...overrides }), id: entryId });

describe('the entry index', () => {
  it('knows at start what is stored: children, aliases and chains', async () => {
    await addNode(harness.store, agent, { selectors: [{ type: 'k8s', value: 'node:1' }] });
    await create('child');
    await create('grandchild', { parentId: id('/child') });
    await create('alias', { parentId: id('/spire/server'), selectors: [{ type: 'k8s', value: 'node:1' }] });
    await create('by-alias', { parentId: id('/alias') });
    await create('foreign', { parentId: id('/spire/agent/test/two') });
    await open(harness.store);
    expect(names()).toEqual(['by-alias', 'child', 'grandchild']);
    expect([...index.lookup(agent, new Set(['by-alias', 'foreign', 'alias', 'none'])).keys()]).toEqual(['by-alias']);
  });

  it('forgets aliases of an agent whose SVID has expired', async () => {
    const expiresAt = harness.clock.now() / 1000 + 10;
    await addNode(harness.store, agent, { selectors: [{ type: 'k8s', value: 'node:1' }], expiresAt });
    await create('child');
    await create('alias', { parentId: id('/spire/server'), selectors: [{ type: 'k8s', value: 'node:1' }] });
    await create('by-alias', { parentId: id('/alias') });
    await open(harness.store);
    expect(names()).toEqual(['by-alias', 'child']);
    await clock.advance(10_000);
    expect(names()).toEqual(['child']);
  });

  it('follows changes of this process at once', async () => {
    await open(harness.store);
    await create('a');
    await clock.advance(0);
    expect(names()).toEqual(['a']);
    await harness.store.entries.update({ id: 'a', parentId: id('/spire/agent/test/two') }, ['parentId']);
    await clock.advance(0);
    expect([names(), names(id('/spire/agent/test/two'))]).toEqual([[], ['a']]);
    await harness.store.entries.delete('a');
    await clock.advance(0);
    expect(names(id('/spire/agent/test/two'))).toEqual([]);
  });

  it('follows changes of other servers within the interval, nodes included', async () => {
    await open(deaf(harness.store));
    void index.run(stop.controller.signal);
    await create('a');
    await create('alias', { parentId: id('/spire/server'), selectors: [{ type: 'k8s', value: 'node:1' }] });
    await create('by-alias', { parentId: id('/alias') });
    await clock.advance(4999);
    expect(names()).toEqual([]);
    await clock.advance(1);
    expect(names()).toEqual(['a']);
    await addNode(harness.store, agent, { selectors: [{ type: 'k8s', value: 'node:1' }] });
    await harness.store.entries.delete('a');
    await clock.advance(5000);
    expect(names()).toEqual(['by-alias']);
    await harness.store.nodes.delete(agent);
    await clock.advance(5000);
    expect(names()).toEqual([]);
  });

  it('keeps what it has while the store fails, and catches up afterwards', async () => {
    const failing = { now: false };
    const stores = deaf(harness.store);
    const flaky = {
      ...stores,
      entries: {
        ...stores.entries,
        get: async (entryId: string) => {
          if (failing.now) throw new Error('no disk');
          return stores.entries.get(entryId);
        },
      },
    };
    await create('a');
    await open(flaky);
    void index.run(stop.controller.signal);
    failing.now = true;
    await create('b');
    await clock.advance(5000);
    expect(names()).toEqual(['a']);
    failing.now = false;
    await clock.advance(5000);
    expect(names()).toEqual(['a', 'b']);
  });

  it('heals by a full load what events did not tell', async () => {
    const stores = deaf(harness.store);
    const mute = { ...stores, entries: { ...stores.entries, events: async () => [] } };
    await create('old');
    await open(mute);
    void index.run(stop.controller.signal);
    await create('a');
    await harness.store.entries.delete('old');
    await clock.advance(55_000);
    expect(names()).toEqual(['old']);
    await clock.advance(5000);
    expect(names()).toEqual(['a']);
  });

  it('reads at start only the newest events, and still hears of those that were skipped there', async () => {
    for (let n = 0; n < 30; n += 1) await create(`e${n}`);
    const asked: number[] = [];
    const late = [{ eventId: 4900, key: 'late' }];
    const stores = deaf(harness.store);
    const shifted = (events: readonly ChangeEvent[]) => events.map((one) => ({ ...one, eventId: one.eventId + 5000 }));
    const known = shifted(await harness.store.entries.events(0));
    let now: readonly ChangeEvent[] = known;
    const entries = {
      ...stores.entries,
      newestEvent: async () => now.at(-1)?.eventId ?? 0,
      events: async (after: number) => {
        asked.push(after);
        return now.filter(({ eventId }) => eventId > after);
      },
    };
    await open({ ...stores, entries });
    void index.run(stop.controller.signal);
    expect(asked).toEqual([5030 - 1001]);
    // Another server's transaction that began before the start and ends after it.
    await create('late');
    now = [...late, ...known];
    await clock.advance(5000);
    expect(names()).toContain('late');
    expect(Math.min(...asked)).toBe(5030 - 1001);
  });

  it('hears of changes after all events were pruned, from before its start or since', async () => {
    await create('a');
    await harness.store.entries.pruneEvents(harness.clock.now() + 1000);
    await open(deaf(harness.store));
    void index.run(stop.controller.signal);
    await create('b');
    await clock.advance(5000);
    expect(names()).toEqual(['a', 'b']);
    await harness.store.entries.pruneEvents(harness.clock.now() + 1000);
    await clock.advance(5000);
    await create('c');
    await harness.store.entries.delete('a');
    await clock.advance(5000);
    expect(names()).toEqual(['b', 'c']);
  });
});
