import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../../../common/clock.ts';
import type { DataStore, EventLog } from '../contract.ts';
import { agentId, attested, newEntry, type OpenTestDatabase, opener, START_MS } from './samples.ts';

const HOUR_MS = 3_600_000;

/** Each: a kind of row, its events, and how one more of them is made. */
const kinds: readonly (readonly [string, (store: DataStore) => EventLog, (store: DataStore) => Promise<unknown>])[] = [
  ['entry', ({ entries }) => entries, ({ entries }) => entries.update({ id: 'one', hint: 'x' }, ['hint'])],
  ['node', ({ nodes }) => nodes, ({ nodes }) => nodes.update(agentId, { agentVersion: 'x' })],
];

/** What tells other servers of changes, and how long. */
export function describeEvents(open: OpenTestDatabase): void {
  const start = opener(open);

  describe.each(kinds)('events of an %s', (what, eventsOf, change) => {
    const started = async () => {
      const clock = new ManualClock(START_MS);
      const { store, another } = await start(clock);
      expect(await eventsOf(store).newestEvent()).toBe(0);
      await store.entries.create(newEntry({ id: 'one' }));
      await store.nodes.attested(attested());
      return { clock, store, another, events: eventsOf(store) };
    };
    const idsOf = async (events: EventLog): Promise<number[]> => (await events.events(0)).map(({ eventId }) => eventId);

    it('are deleted when they are old, others never', async () => {
      const { clock, store, events } = await started();
      await change(store);
      const cut = clock.now() + HOUR_MS;
      await clock.advance(HOUR_MS);
      await change(store);
      await clock.advance(1);
      await change(store);
      const ids = await idsOf(events);
      expect(ids).toHaveLength(4);
      expect(await events.pruneEvents(START_MS)).toBe(0);
      expect(await events.pruneEvents(cut)).toBe(2);
      expect(await idsOf(events)).toEqual(ids.slice(2));
      expect(await events.pruneEvents(cut)).toBe(0);
      const other = what === 'entry' ? store.nodes : store.entries;
      expect(await idsOf(other)).toHaveLength(1);
      expect((await store.entries.get('one'))?.id).toBe('one');
      expect((await store.nodes.get(agentId))?.id).toBe(agentId);
    });

    it('are numbered on when all were deleted, so that nobody takes a new one for one it has read', async () => {
      const { clock, store, another, events } = await started();
      await change(store);
      const newest = await events.newestEvent();
      expect((await idsOf(events)).at(-1)).toBe(newest);
      await clock.advance(HOUR_MS);
      expect(await events.pruneEvents(clock.now())).toBe(2);
      expect(await events.newestEvent()).toBe(0);
      await change(store);
      const next = await events.newestEvent();
      expect(next).toBeGreaterThan(newest);
      expect(await eventsOf(await another()).events(newest)).toHaveLength(1);
    });
  });
}
