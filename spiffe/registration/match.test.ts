import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatSelector, parseSelector, type Selector } from '../selector.ts';
import { onePerHint } from './hint.ts';
import { grantedEntries, identitiesFor, isMatch, matchEntry, selectorSet } from './match.ts';
import { MatchIndex } from './match-index.ts';

const parse = (texts: readonly string[]): Selector[] => texts.map(parseSelector);
const entry = (id: string, ...selectors: string[]): { id: string; selectors: Selector[] } => ({
  id,
  selectors: parse(selectors),
});

/** A small world, so that matches are common. */
const selectors = fc
  .array(fc.constantFrom('a:1', 'a:2', 'a:1:2', 'b:1', 'b:2', 'c:x', 'ab:1', 'd:y'), { maxLength: 5 })
  .map(parse);
const entries = fc
  .array(selectors, { maxLength: 12 })
  .map((all) => all.map((one, i) => ({ id: `e${i}`, selectors: one })));

const ascending = (a: number, b: number): number => a - b;

/** The rule said as simply as possible. */
function naiveMissing(required: readonly Selector[], presented: readonly Selector[]): string[] {
  return required.map(formatSelector).filter((one) => !presented.map(formatSelector).includes(one));
}

describe('matchEntry', () => {
  it.each<[string, string[], string[], string[] | undefined]>([
    ['all presented', ['unix:uid:1', 'unix:gid:1'], ['unix:gid:1', 'unix:uid:1', 'k8s:ns:a'], undefined],
    ['one missing', ['unix:uid:1', 'k8s:ns:a'], ['unix:uid:1'], ['k8s:ns:a']],
    ['a prefix is no match', ['unix:uid:1'], ['unix:uid:10'], ['unix:uid:1']],
    ['type and value do not run together', ['a:b:c'], ['a:b', 'a:c'], ['a:b:c']],
    ['case counts', ['unix:path:/Bin'], ['unix:path:/bin'], ['unix:path:/Bin']],
  ])('%s', (_what, required, presented, missing) => {
    const match = matchEntry(entry('e', ...required), selectorSet(parse(presented)));
    expect(match).toEqual(missing === undefined ? { kind: 'matched' } : { kind: 'missing', missing: parse(missing) });
  });

  it('matches nobody for an entry without selectors', () => {
    expect(matchEntry(entry('e'), selectorSet(parse(['a:1'])))).toEqual({ kind: 'no-selectors' });
    expect(isMatch(entry('e'), selectorSet([]))).toBe(false);
  });
});

describe('identitiesFor', () => {
  it('sorts granted by ID and refused by nearness', () => {
    const { granted, refused } = identitiesFor(parse(['a:1', 'b:1']), [
      entry('z', 'a:1'),
      entry('none'),
      entry('two', 'a:2', 'b:2'),
      entry('b', 'b:1', 'a:1'),
      entry('y', 'a:9'),
      entry('x', 'a:1', 'b:9'),
    ]);
    expect(granted.map((one) => one.id)).toEqual(['b', 'z']);
    expect(refused.map((one) => one.entry.id)).toEqual(['x', 'y', 'two', 'none']);
    expect(refused[0]?.match).toEqual({ kind: 'missing', missing: parse(['b:9']) });
  });

  it('agrees with the naive rule, and so do the fast form and the index', () => {
    fc.assert(
      fc.property(selectors, entries, (presented, all) => {
        const expected = all.filter(
          (one) => one.selectors.length > 0 && naiveMissing(one.selectors, presented).length === 0,
        );
        const ids = expected.map((one) => one.id).sort();
        const { granted, refused } = identitiesFor(presented, all);
        expect(granted.map((one) => one.id)).toEqual(ids);
        expect(grantedEntries(presented, all).map((one) => one.id)).toEqual(ids);
        expect(granted.length + refused.length).toBe(all.length);
        for (const { entry: one, match } of refused) {
          const missing = match.kind === 'missing' ? match.missing.map(formatSelector) : [];
          expect(missing).toEqual(naiveMissing(one.selectors, presented));
        }
      }),
    );
  });
});

describe('MatchIndex', () => {
  const operations = fc.array(
    fc.record({ id: fc.nat(6), selectors: fc.option(selectors, { nil: undefined }), ask: selectors }),
    { maxLength: 40 },
  );

  it('finds what a scan finds, whatever was put, replaced and removed', () => {
    fc.assert(
      fc.property(operations, (steps) => {
        const index = new MatchIndex<number>();
        const model = new Map<number, readonly Selector[]>();
        for (const { id, selectors: put, ask } of steps) {
          if (put === undefined) {
            expect(index.remove(id)).toBe(model.delete(id));
          } else {
            index.put(id, put);
            model.set(id, put);
          }
          const expected = [...model].filter(([, one]) => one.length > 0 && naiveMissing(one, ask).length === 0);
          expect(index.matching(ask).toSorted(ascending)).toEqual(expected.map(([key]) => key).toSorted(ascending));
          expect(index.size).toBe(model.size);
        }
      }),
    );
  });

  it('keeps values with one selector apart when they go one after the other', () => {
    const index = new MatchIndex<number>();
    const same = parse(['unix:uid:0']);
    for (const value of [1, 2, 3, 4]) index.put(value, same);
    index.remove(1);
    index.remove(4);
    expect(index.matching(same).toSorted(ascending)).toEqual([2, 3]);
    index.remove(2);
    expect(index.matching(same)).toEqual([3]);
  });

  it('lists under the rarest selector, so that a common one costs nothing', () => {
    const index = new MatchIndex<number>();
    for (let i = 0; i < 1000; i += 1) index.put(i, parse(['k8s:cluster:one', `k8s:sa:${i}`]));
    expect(index.matching(parse(['k8s:cluster:one', 'k8s:sa:7']))).toEqual([7]);
  });
});

describe('onePerHint', () => {
  const hinted = (id: string, hint: string, createdAt: number) => ({ id, hint, createdAt });
  const itself = <T>(one: T): T => one;

  it('keeps the oldest per hint, then the lowest ID, and everything without a hint, in order', () => {
    const all = [
      hinted('a', '', 1),
      hinted('b', 'db', 5),
      hinted('c', 'db', 3),
      hinted('d', '', 0),
      hinted('e', 'web', 2),
      hinted('f', 'db', 3),
      hinted('0', 'web', 2),
    ];
    const { kept, dropped } = onePerHint(all, itself);
    expect(kept.map((one) => one.id).join('')).toBe('acd0');
    expect(dropped.map(({ item, inFavourOf }) => `${item.id}<${inFavourOf.id}`)).toEqual(['b<c', 'e<0', 'f<c']);
  });

  it('keeps exactly one of each hint', () => {
    const some = fc.array(fc.tuple(fc.constantFrom('', 'x', 'y'), fc.nat(3)), { maxLength: 10 });
    fc.assert(
      fc.property(some, (all) => {
        const items = all.map(([hint, createdAt], i) => hinted(`${i}`, hint, createdAt));
        const { kept, dropped } = onePerHint(items, itself);
        expect(kept.length + dropped.length).toBe(items.length);
        for (const hint of new Set(items.map((one) => one.hint))) {
          const same = items.filter((one) => one.hint === hint);
          expect(kept.filter((one) => one.hint === hint)).toHaveLength(hint === '' ? same.length : 1);
        }
      }),
    );
  });
});
