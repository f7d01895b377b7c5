import { expect, it } from 'vitest';
import { shortTurns } from './turns.ts';

/** A clock on which each piece of work takes a millisecond. */
function workshop(turnMs: number) {
  let now = 0;
  let turn = 0;
  const turns: number[] = [];
  const begin = shortTurns({ steady: () => now }, turnMs);
  return {
    turns,
    work: async (): Promise<void> => {
      const waiting = begin();
      if (waiting !== undefined) await waiting;
      now += 1;
      turns[turn] = (turns[turn] ?? 0) + 1;
    },
    /** Counts turns until all work is done. */
    until: async (done: Promise<unknown>): Promise<void> => {
      const state = { over: false };
      void done.then(() => (state.over = true));
      while (!state.over) {
        await new Promise((resolve) => setImmediate(resolve));
        turn += 1;
      }
    },
  };
}

it('divides much work that comes at once among turns, and does all of it', async () => {
  const { turns, until, work } = workshop(10);
  await until(Promise.all(Array.from({ length: 100 }, work)));
  expect(turns.reduce((sum, one) => sum + (one ?? 0), 0)).toBe(100);
  // Pieces that end a turn may begin in the one before it has been noticed.
  expect(Math.max(...turns.map((one) => one ?? 0))).toBeLessThanOrEqual(20);
  expect(turns.length).toBeGreaterThan(5);
});

it('holds nobody up who comes alone', async () => {
  const begin = shortTurns({ steady: () => 0 }, 10);
  expect(begin()).toBeUndefined();
  await new Promise((resolve) => setImmediate(resolve));
  expect(begin()).toBeUndefined();
});
