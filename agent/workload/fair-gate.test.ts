import { describe, expect, it } from 'vitest';
import { deferred } from '../../test/support/rpc-pair.ts';
import { type FairGate, fairGate } from './fair-gate.ts';

const { signal } = new AbortController();

/** Work that notes when it begins and ends when told. */
function recorder(gate: FairGate) {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const start = (key: number, name: string, by: AbortSignal = signal): Promise<void> =>
    gate.run(key, by, async () => {
      begun.push(name);
      const ended = deferred();
      ends.set(name, () => ended.resolve());
      await ended.promise;
    });
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { begun, start, end };
}

describe('a fair gate', () => {
  it('bounds the work of all and of one', async () => {
    const { begun, start, end } = recorder(fairGate(3, 2));
    for (const name of ['a1', 'a2', 'a3']) void start(1, name);
    for (const name of ['b1', 'b2']) void start(2, name);
    await end('');
    expect(begun).toEqual(['a1', 'a2', 'b1']);
    await end('b1');
    expect(begun.at(-1)).toBe('b2');
    await end('a1');
    expect(begun.at(-1)).toBe('a3');
  });

  it('takes keys in turns, however much one of them asks for', async () => {
    const { begun, start, end } = recorder(fairGate(1, 1));
    for (const name of ['a1', 'a2', 'a3']) void start(1, name);
    void start(2, 'b1');
    void start(3, 'c1');
    await end('');
    for (const name of ['a1', 'a2', 'b1', 'c1']) await end(name);
    expect(begun).toEqual(['a1', 'a2', 'b1', 'c1', 'a3']);
  });

  it('lets go of those who left while they waited', async () => {
    const { begun, start, end } = recorder(fairGate(1, 1));
    void start(1, 'a1');
    const leaving = new AbortController();
    const left = start(2, 'b1', leaving.signal);
    void start(3, 'c1');
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });
    await end('a1');
    expect(begun).toEqual(['a1', 'c1']);
    await expect(start(4, 'd1', leaving.signal)).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('goes on after work that failed', async () => {
    const gate = fairGate(1, 1);
    await expect(gate.run(1, signal, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await gate.run(1, signal, async () => 'done')).toBe('done');
  });
});
