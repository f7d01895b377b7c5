import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { ManualClock } from '../../common/clock.ts';
import { wakesOf } from './wakes.ts';

/** Signals that follow this one, which Node.js 20 keeps for as long as it lives. */
function followers(signal: AbortSignal): number {
  const held = Object.getOwnPropertySymbols(signal).find(({ description }) => description === 'kDependantSignals');
  return held === undefined ? 0 : (Reflect.get(signal, held) as ReadonlySet<unknown>).size;
}

it('leaves nothing behind at a signal that lives as long as the agent', async () => {
  const { signal } = new AbortController();
  const derived = AbortSignal.any([signal]);
  expect([followers(signal), followers(derived)], 'what this test looks at').toEqual([1, 0]);
  const clock = new ManualClock(0);
  const wakes = wakesOf({ onDemand: () => () => undefined });
  for (const end of [() => clock.advance(1000), wakes.hint]) {
    const waiting = wakes.wait(clock, 1000, signal);
    end();
    await waiting;
    expect([followers(signal), getEventListeners(signal, 'abort').length]).toEqual([1, 0]);
  }
});
