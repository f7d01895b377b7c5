import type { Entry } from './entry.ts';

/** The part of an entry that the hint rule looks at. */
export type HintedEntry = Pick<Entry, 'id' | 'hint' | 'createdAt'>;

/** What the hint rule keeps, and what it drops in favour of which other. */
export interface HintFiltered<T> {
  readonly kept: readonly T[];
  readonly dropped: readonly { readonly item: T; readonly inFavourOf: T }[];
}

/**
 * Keeps one identity per hint, as a workload finds an identity by its hint (SPIFFE Workload API 5.2.1): the oldest
 * entry, and among equally old ones the one with the lowest ID. Identities without a hint all stay. The order stays.
 *
 * @param entryOf the entry behind an item
 */
export function onePerHint<T>(items: readonly T[], entryOf: (item: T) => HintedEntry): HintFiltered<T> {
  const winners = new Map<string, T>();
  for (const item of items) {
    const entry = entryOf(item);
    if (entry.hint === '') continue;
    const winner = winners.get(entry.hint);
    if (winner === undefined || precedes(entry, entryOf(winner))) winners.set(entry.hint, item);
  }
  const kept: T[] = [];
  const dropped: { item: T; inFavourOf: T }[] = [];
  for (const item of items) {
    const winner = winners.get(entryOf(item).hint);
    if (winner === undefined || winner === item) kept.push(item);
    else dropped.push({ item, inFavourOf: winner });
  }
  return { kept, dropped };
}

function precedes(a: HintedEntry, b: HintedEntry): boolean {
  return a.createdAt === b.createdAt ? a.id < b.id : a.createdAt < b.createdAt;
}
