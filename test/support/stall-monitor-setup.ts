import { afterAll, expect } from 'vitest';
import { takeStalls } from './stall-monitor.ts';

// Runs in every test file, after its own hooks: what the daemons that it started did is known by then.
afterAll(() => {
  expect(takeStalls(), 'stalls of the event loop in a request path').toEqual([]);
});
