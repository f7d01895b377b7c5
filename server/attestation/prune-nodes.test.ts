import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../common/clock.ts';
import { silentLogger } from '../../common/log/logger.ts';
import { addNode, type Harness, id, newEntry, openHarness } from '../../test/support/server-api.ts';
import { pruneEntries } from '../entries/prune.ts';
import { pruneNodes } from './prune-nodes.ts';

let harness: Harness;
let clock: ManualClock;
let stop: AbortController;

beforeEach(async () => {
  harness = await openHarness();
  clock = new ManualClock(harness.clock.now());
  stop = new AbortController();
});

afterEach(async () => {
  stop.abort();
  await harness.close();
});

const now = (): number => Math.floor(clock.now() / 1000);
const agentIds = async (): Promise<string[]> =>
  (await harness.store.nodes.list({ withSelectors: false })).nodes.map((node) => node.id.replace(/.*\//, ''));

describe('pruning of nodes', () => {
  const run = (rule: { includeNonReattestable: boolean; batchSize: number }, random = 0.5): void => {
    const { nodes } = harness.store;
    const task = pruneNodes({ nodes, clock, log: silentLogger, random: () => random, expiredFor: 60, ...rule });
    void task(stop.signal);
  };

  beforeEach(async () => {
    const long = now() - 61;
    await addNode(harness.store, id('/spire/agent/t/old'), { expiresAt: long, canReattest: true });
    await addNode(harness.store, id('/spire/agent/t/tofu'), { expiresAt: long });
    await addNode(harness.store, id('/spire/agent/t/banned'), { expiresAt: long, canReattest: true });
    await harness.store.nodes.update(id('/spire/agent/t/banned'), { serialNumber: '', newSerialNumber: '' });
    await addNode(harness.store, id('/spire/agent/t/current'), { expiresAt: now() + 9_000_000, canReattest: true });
  });

  it('spares those that trusted on first use, banned and current ones', async () => {
    run({ includeNonReattestable: false, batchSize: 10 });
    await clock.advance(59 * 60_000);
    expect(await agentIds()).toHaveLength(4);
    await clock.advance(60_000);
    expect(await agentIds()).toEqual(['tofu', 'banned', 'current']);
  });

  it('takes at most a batch per pass, also of the former when told', async () => {
    run({ includeNonReattestable: true, batchSize: 1 });
    await clock.advance(60 * 60_000);
    expect(await agentIds()).toEqual(['tofu', 'banned', 'current']);
    await clock.advance(60 * 60_000);
    expect(await agentIds()).toEqual(['banned', 'current']);
  });

  it('is spread over the half hour around the full hour', async () => {
    run({ includeNonReattestable: false, batchSize: 10 }, 0);
    await clock.advance(45 * 60_000);
    expect(await agentIds()).toHaveLength(3);
  });
});

describe('pruning of entries', () => {
  it('deletes every five minutes what has expired', async () => {
    const { entries } = harness.store;
    await entries.create({ ...newEntry({ spiffeId: id('/a'), expiresAt: now() + 60 }), id: 'a' });
    await entries.create({ ...newEntry({ spiffeId: id('/b') }), id: 'b' });
    void pruneEntries({ entries, clock, log: silentLogger })(stop.signal);
    await clock.advance(5 * 60_000 - 1);
    expect(await entries.count()).toBe(2);
    await clock.advance(1);
    expect((await entries.list({})).entries.map((entry) => entry.id)).toEqual(['b']);
  });
});
