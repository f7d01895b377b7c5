import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addNode, type Harness, id, newEntry, openHarness, recordingLogger } from '../../test/support/server-api.ts';
import { pruneEntries, pruneEvents } from './prune.ts';

const HOUR_MS = 3_600_000;
const agent = id('/spire/agent/test/one');

let harness: Harness;
const stop = { controller: new AbortController() };

beforeEach(async () => {
  harness = await openHarness();
  stop.controller = new AbortController();
});
afterEach(async () => {
  stop.controller.abort();
  await harness.close();
});

const counts = async (): Promise<number[]> => {
  const { entries, nodes } = harness.store;
  return [(await entries.events(0)).length, (await nodes.events(0)).length];
};
const write = async (name: string): Promise<void> => {
  await harness.store.entries.create({ ...newEntry({ spiffeId: id(`/${name}`) }), id: name });
  await addNode(harness.store, agent);
};

describe('pruning of entries', () => {
  it('deletes those that expired, and leaves it to the datastore to tell of each', async () => {
    const { clock, store } = harness;
    const { log, lines } = recordingLogger();
    const seconds = Math.floor(clock.now() / 1000);
    for (const [name, expiresAt] of [
      ['never', 0],
      ['soon', seconds + 60],
      ['later', seconds + 6000],
    ] as const) {
      await store.entries.create({ ...newEntry({ spiffeId: id(`/${name}`) }), id: name, expiresAt });
    }
    void pruneEntries({ ...store, clock, log })(stop.controller.signal);
    await clock.advance(HOUR_MS / 4);
    const left = async (): Promise<string[]> => (await store.entries.list({})).entries.map((entry) => entry.id);
    await expect.poll(left, { timeout: 10_000, interval: 5 }).toEqual(['never', 'later']);
    expect(lines).toEqual([]);
  });
});

describe('pruning of events', () => {
  it('deletes both kinds, every half of the age at which they go', async () => {
    const { clock, store } = harness;
    const { log, lines } = recordingLogger();
    void pruneEvents({ ...store, clock, log, olderThan: 2 * HOUR_MS })(stop.controller.signal);
    await write('a');
    await clock.advance(HOUR_MS);
    await write('b');
    expect(await counts()).toEqual([2, 2]);
    await clock.advance(HOUR_MS);
    // The first are exactly two hours old.
    expect(await counts()).toEqual([2, 2]);
    await clock.advance(HOUR_MS);
    await eventuallyCounts([1, 1]);
    await clock.advance(HOUR_MS);
    await eventuallyCounts([0, 0]);
    expect(lines.filter(({ level }) => level === 'error')).toEqual([]);
    expect(await store.entries.count()).toBe(2);
  });

  it('tries again after a failure of one, which does not keep the other', async () => {
    const { clock, store } = harness;
    const { log, lines } = recordingLogger();
    const failing = { now: true };
    const entries = {
      async pruneEvents(before: number) {
        if (failing.now) throw new Error('no disk');
        return store.entries.pruneEvents(before);
      },
    };
    void pruneEvents({ entries, nodes: store.nodes, clock, log, olderThan: HOUR_MS })(stop.controller.signal);
    await write('a');
    await clock.advance(2 * HOUR_MS);
    await eventuallyCounts([1, 0]);
    expect(lines.some(({ level, message }) => level === 'error' && message === 'Failed to prune events')).toBe(true);
    failing.now = false;
    await clock.advance(HOUR_MS);
    await eventuallyCounts([0, 0]);
  });
});

async function eventuallyCounts(expected: readonly number[]): Promise<void> {
  await expect.poll(counts, { timeout: 10_000, interval: 5 }).toEqual(expected);
}
