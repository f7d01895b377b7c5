import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countInSteps, parseToken, type Range, scan } from './paging.ts';

/** A table whose rows are their ids; `steps` collects what was asked of it. */
function table(ids: readonly number[], steps: Range[] = []) {
  const within = ({ after, upTo }: Range): number[] => ids.filter((id) => id > after && id <= upTo);
  return {
    maxId: () => Promise.resolve(Math.max(0, ...ids)),
    count: (range: Range) => Promise.resolve(within(range).length),
    fetch(range: Range, limit: number) {
      steps.push(range);
      const items = within(range).slice(0, limit);
      return Promise.resolve({ items, matched: items.length, lastId: items.at(-1) ?? 0 });
    },
  };
}

describe('scan', () => {
  const sparse = fc
    .uniqueArray(fc.integer({ min: 1, max: 60_000 }), { maxLength: 1500 })
    .map((ids) => ids.sort((a, b) => a - b));

  it('yields every row once and in order, in windows or not, in pages or whole', async () => {
    await fc.assert(
      fc.asyncProperty(sparse, fc.boolean(), fc.integer({ min: 1, max: 800 }), async (ids, windowed, size) => {
        const source = { ...table(ids), windowed };
        expect(await scan(source)).toEqual({ items: ids, nextToken: '' });
        const walked: number[] = [];
        for (let token = ''; ; ) {
          const page = await scan({ ...source, page: { size, token } });
          expect(page.items).toEqual(ids.slice(walked.length, walked.length + size));
          expect(page.nextToken).toBe(String(page.items.at(-1) ?? ''));
          if (page.nextToken === '') break;
          walked.push(...page.items);
          token = page.nextToken;
        }
        expect(walked).toEqual(ids);
        expect(await countInSteps(source.maxId, source.count)).toBe(ids.length);
      }),
      { numRuns: 20 },
    );
  });

  it('looks at a bounded range of ids at a time where no index helps, and stops when the page is full', async () => {
    const steps: Range[] = [];
    const source = table([1, 35_000, 59_999], steps);
    expect(await scan({ ...source, windowed: true, page: { size: 2, token: '' } })).toMatchObject({
      items: [1, 35_000],
    });
    expect(steps.length).toBe(4);
    expect(steps.every(({ after, upTo }) => upTo - after <= 10_000)).toBe(true);
  });

  it('lets other work run between steps', async () => {
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 0);
    const ids = Array.from({ length: 20_000 }, (_, n) => n + 1);
    const { items } = await scan({ ...table(ids), windowed: false });
    clearInterval(timer);
    expect(items).toHaveLength(20_000);
    expect(turns).toBeGreaterThan(0);
  });

  it('goes on after a row that could not be read', async () => {
    const source = {
      windowed: false,
      maxId: () => Promise.resolve(0),
      fetch: ({ after }: Range) => Promise.resolve({ items: after === 0 ? [] : ['b'], matched: 1, lastId: after + 1 }),
    };
    expect(await scan({ ...source, page: { size: 1, token: '' } })).toEqual({ items: [], nextToken: '1' });
    expect(await scan({ ...source, page: { size: 1, token: '1' } })).toEqual({ items: ['b'], nextToken: '2' });
  });
});

describe('parseToken', () => {
  it('takes row ids and nothing else', () => {
    expect(parseToken('')).toBe(0);
    expect(parseToken('17')).toBe(17);
    expect(parseToken('4294967295')).toBe(4_294_967_295);
    for (const token of ['4294967296', '-1', '+1', '1e3', ' 1', '1_0', 'x']) {
      expect(() => parseToken(token)).toThrow(`could not parse token '${token}'`);
    }
  });
});
