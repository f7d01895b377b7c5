import type { Expression, SqlBool, Transaction } from 'kysely';
import type { Closable } from '../../../common/lifecycle.ts';
import type { DbTime, Tables } from './tables.ts';

/** A transaction in which queries are built and run. */
export type Queries = Transaction<Tables>;

/** What the dialects express differently. */
export interface ColumnValues {
  /** @param ms milliseconds since the epoch */
  time(ms: number): DbTime;
  /** @returns milliseconds since the epoch, or undefined for null and for text that is no time */
  millis(value: DbTime | null): number | undefined;
  /** The condition that a column holds a time before `ms` (milliseconds since the epoch). */
  isBefore(column: Expression<DbTime | null>, ms: number): Expression<SqlBool>;
  /**
   * The column, written so that its index is left aside where the planner has no statistics and would take it for as
   * good as any other. Many entries share a parent, few a SPIFFE ID.
   */
  unindexed(column: Expression<string | null>): Expression<string | null>;
}

/**
 * One open database of any dialect. The stores are written against this, and a dialect's folder provides it. Whatever
 * a driver throws arrives as a FinialError whose message begins with `datastore-sql: `; a broken uniqueness rule is
 * `already-exists`.
 */
export interface SqlDatabase extends Closable {
  readonly values: ColumnValues;
  /** Runs `work` on one consistent snapshot. It must not write. */
  read<T>(work: (tx: Queries) => Promise<T>): Promise<T>;
  /**
   * A number that is another one after each commit, of this process or any other, for keeping what was read until then.
   * Absent where that costs a question to a server.
   */
  readonly version?: () => number;
  /**
   * Runs `work` in a transaction that no other writer interleaves with on the rows it reads, and commits it durably.
   * Nothing is kept when `work` throws.
   */
  write<T>(work: (tx: Queries) => Promise<T>): Promise<T>;
}
