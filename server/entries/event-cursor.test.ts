import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventCursor } from './event-cursor.ts';

const events = (...ids: number[]) => ids.map((eventId) => ({ eventId, key: `k${eventId}` }));
const keys = (...ids: number[]) => new Set(ids.map((eventId) => `k${eventId}`));

describe('the event cursor', () => {
  it('tells each event once', () => {
    const cursor = new EventCursor(1000);
    cursor.start(events(1, 2), 0);
    expect(cursor.advance(events(3, 4), 0)).toEqual(keys(3, 4));
    expect(cursor.after).toBe(4);
    expect(cursor.advance(events(4), 0)).toEqual(keys());
  });

  it('looks again for IDs that were skipped', () => {
    const cursor = new EventCursor(1000);
    cursor.start(events(1), 0);
    expect(cursor.advance(events(2, 6), 0)).toEqual(keys(2, 6));
    expect([cursor.after, cursor.gaps]).toEqual([2, 1]);
    expect(cursor.advance(events(4, 6, 7), 500)).toEqual(keys(4, 7));
    expect([cursor.after, cursor.gaps]).toEqual([2, 2]);
    expect(cursor.advance(events(3, 4, 5, 6, 7), 999)).toEqual(keys(3, 5));
    expect([cursor.after, cursor.gaps]).toEqual([7, 0]);
  });

  it('gives up on them after the timeout', () => {
    const cursor = new EventCursor(1000);
    cursor.start(events(1), 0);
    cursor.advance(events(3), 0);
    expect(cursor.advance(events(2, 3), 1000)).toEqual(keys());
    expect(cursor.after).toBe(3);
  });

  it('also looks below the first event of an empty table', () => {
    const cursor = new EventCursor(1000);
    cursor.start([], 0);
    expect(cursor.advance(events(5), 0)).toEqual(keys(5));
    expect(cursor.advance(events(4, 5), 1)).toEqual(keys(4));
  });

  it('does not look for gaps that were old at start', () => {
    const cursor = new EventCursor(1000);
    cursor.start(events(5, 100_000, 100_002), 0);
    expect(cursor.after).toBe(99_001);
    expect(cursor.advance(events(99_500, 100_001), 1)).toEqual(keys(99_500, 100_001));
  });

  it('misses nothing, whatever the order of commits', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([1, 2, 3, 4, 5, 6, 7, 8, 9], { minLength: 1 }), fc.integer(), (order, cut) => {
        const cursor = new EventCursor(1000);
        cursor.start([], 0);
        const committed: number[] = [];
        const seen: string[] = [];
        for (const [i, one] of order.entries()) {
          committed.push(one);
          if ((i ^ cut) % 2 === 0 || i === order.length - 1) {
            const visible = committed.filter((id) => id > cursor.after).sort((a, b) => a - b);
            seen.push(...cursor.advance(events(...visible), 0));
          }
        }
        expect(seen.sort()).toEqual([...keys(...order)].sort());
      }),
    );
  });
});
