import { describe, expect, it } from 'vitest';
import { growth, type Holdings, leakHunt } from '../soak/leaks.ts';
import { scratchFolder } from '../support/scratch.ts';

const folder = scratchFolder();

describe('an hour of rotations', () => {
  it('leaves nothing behind', async () => {
    const lines: string[] = [];
    const { findings } = await leakHunt({ folder, rotations: 6, say: (line) => void lines.push(line) });
    console.log(lines.join('\n'));
    expect(findings).toEqual([]);
  }, 120_000);

  const holdings: Holdings = { heapBytes: 20_000_000, descriptors: 30, timers: 10, handles: 20, listeners: 5 };
  const calm = { server: holdings, agent: holdings };

  it.each<[string, Partial<Holdings>]>([
    ['heapBytes', { heapBytes: 22_100_000 }],
    ['descriptors', { descriptors: 35 }],
    ['timers', { timers: 15 }],
    ['handles', { handles: 25 }],
    ['listeners', { listeners: 6 }],
  ])('is found out when %s grow', (name, more) => {
    const after = { ...calm, agent: { ...holdings, ...more } };
    expect(growth('server', 10, calm, after)).toEqual([]);
    expect(growth('agent', 10, calm, after)).toEqual([expect.stringContaining(`agent: ${name} grew`)]);
  });
});
