import { setImmediate } from 'node:timers/promises';
import { FinialError } from '../../../common/errors.ts';
import type { Page } from './contract.ts';

/**
 * At most this many rows are fetched in one go: a driver that works synchronously blocks the process meanwhile, and
 * no request may do so for 50 ms.
 */
const CHUNK_ROWS = 500;

/** A query whose filter no index serves looks at no more than this many row ids in one go, for the same reason. */
const WINDOW_ROWS = 10_000;

const MAX_TOKEN = 2 ** 32 - 1;

/** Rows of a part of a listing, and the id of the last one looked at. */
export interface Rows<T> {
  readonly items: readonly T[];
  /** How many rows matched, which may be more than `items` when a row was unreadable. */
  readonly matched: number;
  /** 0 when nothing matched. */
  readonly lastId: number;
}

/** Which row ids to look at: above `after`, and not above `upTo`. */
export interface Range {
  readonly after: number;
  readonly upTo: number;
}

/** How to read a listing step by step. */
export interface Scan<T> {
  readonly page?: Page | undefined;
  /** Whether the filter makes the database look at rows that do not match. */
  readonly windowed: boolean;
  /** The highest row id of the table; asked once. */
  maxId(): Promise<number>;
  /** Matching rows in the order of their ids. */
  fetch(range: Range, limit: number): Promise<Rows<T>>;
}

/**
 * Reads a listing in bounded steps and lets other work run between them. Each step sees its own snapshot; rows are
 * never repeated, as each step begins above the last id.
 */
export async function scan<T>(query: Scan<T>): Promise<{ readonly items: readonly T[]; readonly nextToken: string }> {
  const paged = query.page !== undefined && query.page.size > 0;
  const size = paged ? (query.page?.size ?? 0) : Number.POSITIVE_INFINITY;
  const items: T[] = [];
  let matched = 0;
  let lastId = 0;
  for await (const rows of steps(query, paged ? parseToken(query.page?.token ?? '') : 0, () => size - matched)) {
    for (const item of rows.items) items.push(item);
    matched += rows.matched;
    if (rows.lastId > 0) lastId = rows.lastId;
  }
  return { items, nextToken: paged && lastId > 0 ? String(lastId) : '' };
}

async function* steps<T>(query: Scan<T>, start: number, wanted: () => number): AsyncGenerator<Rows<T>> {
  const end = query.windowed ? await query.maxId() : Number.POSITIVE_INFINITY;
  let after = start;
  while (wanted() > 0 && after < end) {
    const upTo = query.windowed ? after + WINDOW_ROWS : Number.POSITIVE_INFINITY;
    const limit = Math.min(CHUNK_ROWS, wanted());
    const rows = await query.fetch({ after, upTo }, limit);
    yield rows;
    if (rows.matched >= limit) after = rows.lastId;
    else if (query.windowed) after = upTo;
    else return;
    await pause();
  }
}

/** How many rows match, counted in bounded steps. */
export async function countInSteps(
  maxId: () => Promise<number>,
  count: (range: Range) => Promise<number>,
): Promise<number> {
  const end = await maxId();
  let total = 0;
  for (let after = 0; after < end; after += WINDOW_ROWS) {
    total += await count({ after, upTo: after + WINDOW_ROWS });
    await pause();
  }
  return total;
}

/** Lets timers and sockets of the process have their turn. */
export async function pause(): Promise<void> {
  await setImmediate();
}

/** @throws FinialError `invalid-argument` unless the token is empty or a row id */
export function parseToken(token: string): number {
  if (token === '') return 0;
  const id = /^[0-9]+$/.test(token) ? Number(token) : Number.NaN;
  if (!(id <= MAX_TOKEN)) throw new FinialError('invalid-argument', `could not parse token '${token}'`);
  return id;
}
