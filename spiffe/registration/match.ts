import type { Selector } from '../selector.ts';
import type { Entry } from './entry.ts';

/** The part of an entry that decides which workloads match it. */
export type MatchableEntry = Pick<Entry, 'id' | 'selectors'>;

/** What a workload or node presents, prepared for many questions. Asking allocates nothing. */
export interface SelectorSet {
  has(selector: Selector): boolean;
}

/** How the selectors of one entry relate to the presented ones. */
export type SelectorMatch =
  | { readonly kind: 'matched' }
  /** Exactly the selectors that the entry asks for and nobody presented, in the entry's order. */
  | { readonly kind: 'missing'; readonly missing: readonly Selector[] }
  /** The entry asks for nothing. It matches nobody, as a rule that names no fact must not name everybody. */
  | { readonly kind: 'no-selectors' };

/** Why an entry does not apply to a process. */
export interface Refusal<E> {
  readonly entry: E;
  readonly match: Exclude<SelectorMatch, { kind: 'matched' }>;
}

/** The answer to "which identities may this process have, and why not the others". */
export interface Identities<E> {
  /** By entry ID, ascending. The first is the default identity (SPIFFE Workload API 8). */
  readonly granted: readonly E[];
  /** The nearest misses first: by number of missing selectors, then by entry ID. */
  readonly refused: readonly Refusal<E>[];
}

const MATCHED: SelectorMatch = { kind: 'matched' };
const NO_SELECTORS = { kind: 'no-selectors' } as const;

/** Selectors, arranged for matching. */
export function selectorSet(selectors: Iterable<Selector>): SelectorSet {
  const valuesByType = new Map<string, Set<string>>();
  for (const { type, value } of selectors) {
    const values = valuesByType.get(type);
    if (values === undefined) valuesByType.set(type, new Set([value]));
    else values.add(value);
  }
  return { has: ({ type, value }) => valuesByType.get(type)?.has(value) === true };
}

/** Whether every selector of the entry is presented. The fast form of `matchEntry`. */
export function isMatch(entry: Pick<Entry, 'selectors'>, presented: SelectorSet): boolean {
  for (const selector of entry.selectors) if (!presented.has(selector)) return false;
  return entry.selectors.length > 0;
}

/** The one rule of matching: every selector of the entry is among the presented ones. Says what is missing if not. */
export function matchEntry(entry: Pick<Entry, 'selectors'>, presented: SelectorSet): SelectorMatch {
  if (isMatch(entry, presented)) return MATCHED;
  return refusalOf(entry, presented);
}

function refusalOf(entry: Pick<Entry, 'selectors'>, presented: SelectorSet): Refusal<never>['match'] {
  if (entry.selectors.length === 0) return NO_SELECTORS;
  return { kind: 'missing', missing: entry.selectors.filter((selector) => !presented.has(selector)) };
}

/** Only the granted half of `identitiesFor`, for callers that need no reasons. */
export function grantedEntries<E extends MatchableEntry>(
  selectors: Iterable<Selector>,
  entries: Iterable<E>,
): readonly E[] {
  const presented = selectorSet(selectors);
  const granted: E[] = [];
  for (const entry of entries) if (isMatch(entry, presented)) granted.push(entry);
  return granted.sort(byId);
}

/**
 * Which of `entries` a process with `selectors` gets, and for each other one what it lacks. Answers of the agent,
 * `explain` and the reason behind "no identity issued" all come from here.
 */
export function identitiesFor<E extends MatchableEntry>(
  selectors: Iterable<Selector>,
  entries: Iterable<E>,
): Identities<E> {
  const presented = selectorSet(selectors);
  const granted: E[] = [];
  const refused: Refusal<E>[] = [];
  for (const entry of entries) {
    if (isMatch(entry, presented)) granted.push(entry);
    else refused.push({ entry, match: refusalOf(entry, presented) });
  }
  return {
    granted: granted.sort(byId),
    refused: refused.sort((a, b) => compareNumbers(distance(a), distance(b)) || byId(a.entry, b.entry)),
  };
}

/** Not a subtraction: two infinities have no difference. */
function compareNumbers(a: number, b: number): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function distance({ match }: Refusal<unknown>): number {
  return match.kind === 'missing' ? match.missing.length : Number.POSITIVE_INFINITY;
}

/** Orders entries as every answer lists them: by ID, ascending. IDs are ASCII, so this is also their byte order. */
export function byId(a: Pick<Entry, 'id'>, b: Pick<Entry, 'id'>): number {
  if (a.id === b.id) return 0;
  return a.id < b.id ? -1 : 1;
}
