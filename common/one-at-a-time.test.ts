import { describe, expect, it } from 'vitest';
import { oneAtATime } from './one-at-a-time.ts';

describe('oneAtATime', () => {
  it('begins work only when what came before has ended, even badly', async () => {
    const queue = oneAtATime();
    const seen: string[] = [];
    const work = (name: string, fails: boolean) => async (): Promise<string> => {
      seen.push(`${name} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    };
    const [first, second] = [queue(work('first', true)), queue(work('second', false))];
    await expect(first).rejects.toThrow('first');
    expect(await second).toBe('second');
    expect(seen).toEqual(['first begins', 'first ends', 'second begins', 'second ends']);
  });
});
