import { describe, expect, it } from 'vitest';
import { ManualClock } from '../common/clock.ts';
import { type ErrorCode, FinialError } from '../common/errors.ts';
import { DEFAULT_BACKOFF, follow } from './follow.ts';

/** What one stream does: says messages, waits, and ends (`END`) or fails. */
type Step = string | { readonly fail: ErrorCode } | { readonly wait: number };

/** An agent whose streams follow a script; the last part repeats. Runs until `until` says that enough was seen. */
async function followed(
  parts: readonly (readonly Step[])[],
  advanceMs: number,
  stepMs = 100,
  listen: (update: string) => void = () => undefined,
) {
  const clock = new ManualClock();
  const stop = new AbortController();
  const opened: number[] = [];
  const updates: string[] = [];
  const errors: string[] = [];
  async function* open(signal: AbortSignal): AsyncGenerator<string> {
    opened.push(clock.steady());
    for (const step of parts[Math.min(opened.length, parts.length) - 1] ?? []) {
      if (step === 'END') return;
      if (typeof step === 'string') yield step;
      else if ('fail' in step) throw new FinialError(step.fail, 'scripted');
      else await clock.sleep(step.wait, signal);
    }
    await clock.sleep(1e12, signal);
  }
  const outcome = follow(
    {
      open,
      read(message) {
        if (message === 'bad') throw new FinialError('data-loss', 'malformed');
        return message;
      },
      onUpdate(update) {
        updates.push(update);
        listen(update);
      },
      onError: ({ code }) => void errors.push(code),
    },
    { clock, random: () => 0.5, backoff: DEFAULT_BACKOFF },
    stop.signal,
  ).then(
    () => 'stopped',
    (error: FinialError) => error.code,
  );
  for (let moved = 0; moved < advanceMs; moved += stepMs) await clock.advance(stepMs);
  stop.abort();
  return { opened, updates, errors, outcome: await outcome, sleeping: clock.sleeping };
}

describe('follow', () => {
  it('keeps the stream open and passes every message on', async () => {
    const { opened, updates, outcome, sleeping } = await followed([['a', { wait: 600_000 }, 'b']], 601_000, 1000);
    expect({ opened, updates, outcome, sleeping }).toEqual({
      opened: [0],
      updates: ['a', 'b'],
      outcome: 'stopped',
      sleeping: 0,
    });
  });

  it('opens a stream that ended with OK again at once after it was healthy', async () => {
    const { opened, updates, errors } = await followed([['a', { wait: 60_000 }, 'END'], ['b']], 61_000, 1000);
    expect(opened).toEqual([0, 60_000]);
    expect(updates).toEqual(['a', 'b']);
    expect(errors).toEqual(['unavailable']);
  });

  it.each([
    'unavailable',
    'permission-denied',
    'internal',
    'unknown',
    'unauthenticated',
    'resource-exhausted',
  ] as const)('tries again after %s, ever more slowly', async (code) => {
    const { opened, updates } = await followed([[{ fail: code }], [{ fail: code }], [{ fail: code }], ['a']], 2000);
    expect(opened).toEqual([0, 200, 540, 1118]);
    expect(updates).toEqual(['a']);
  });

  it.each(['invalid-argument', 'unimplemented'] as const)('gives up after %s', async (code) => {
    const { opened, errors, outcome } = await followed([[{ fail: code }], ['a']], 60_000, 1000);
    expect({ opened, errors, outcome }).toEqual({ opened: [0], errors: [code], outcome: code });
  });

  it('discards a message that breaks the standard, and keeps the stream', async () => {
    const { opened, updates, errors } = await followed([['a', 'bad', 'b']], 10_000, 1000);
    expect({ opened, updates, errors }).toEqual({ opened: [0], updates: ['a', 'b'], errors: ['data-loss'] });
  });

  it('does not spin when an agent greets and hangs up', async () => {
    const { opened } = await followed([['a', 'END']], 600_000, 1000);
    // At once, then 0.2 s growing to 30 s: in ten minutes about 11 + 18 attempts.
    expect(opened.length).toBeGreaterThan(20);
    expect(opened.length).toBeLessThan(35);
    expect((opened.at(-1) ?? 0) - (opened.at(-2) ?? 0)).toBe(30_000);
  });

  it('does not wait for ever for the first message', async () => {
    const { opened, errors, updates } = await followed([[], ['a']], 40_000, 1000);
    expect(opened).toEqual([0, 30_200]);
    expect(errors).toEqual(['unavailable']);
    expect(updates).toEqual(['a']);
  });

  it('waits after a refusal, even in the middle of a healthy stream', async () => {
    const { opened } = await followed([['a', { wait: 10_000 }, { fail: 'permission-denied' }], ['b']], 11_000);
    expect(opened).toEqual([0, 10_200]);
  });

  it("takes a listener's error for what it is, not for one of the stream", async () => {
    const { opened, errors, outcome } = await followed([['a']], 1000, 100, () => {
      throw new FinialError('internal', 'bug of the application');
    });
    expect({ opened, errors, outcome }).toEqual({ opened: [0], errors: [], outcome: 'internal' });
  });

  it('starts with small waits again after a healthy stream', async () => {
    const down = [{ fail: 'unavailable' }] as const;
    const { opened } = await followed([down, down, down, ['a', { wait: 10_000 }, 'END'], down, ['b']], 20_000, 1);
    expect(opened.slice(3)).toEqual([1118, 11_118, 11_318]);
  });
});
