import { type Compilable, type CompiledQuery, type Insertable, sql } from 'kysely';
import type { Queries } from './database.ts';
import type { Tables } from './tables.ts';

/**
 * Building and compiling a query costs several times what running it on SQLite does. These helpers compile a query
 * once per store and from then on only bind parameters. The values that a template is built with stand for parameters
 * only; each must occur in the query exactly once, in the order of the arguments, and nothing else may be a parameter.
 */

/** A query with a fixed number of parameters. */
export function template<P extends readonly unknown[], R>(
  sample: P,
  build: (tx: Queries, ...sample: P) => Compilable<R>,
): (tx: Queries, ...parameters: P) => Promise<readonly R[]> {
  let compiled: CompiledQuery<R> | undefined;
  return async (tx, ...parameters) => {
    compiled ??= checked(build(tx, ...sample).compile(), sample.length);
    const bound: CompiledQuery<R> = { ...compiled, parameters };
    return (await tx.executeQuery(bound)).rows;
  };
}

/**
 * A query with one list of ids. The list is padded to a power of two by repeating its last element, which changes
 * nothing for `IN` and keeps the number of different statements small.
 */
export function listTemplate<T, R>(
  sample: T,
  build: (tx: Queries, list: readonly T[]) => Compilable<R>,
): (tx: Queries, list: readonly T[]) => Promise<readonly R[]> {
  const compiled = new Map<number, CompiledQuery<R>>();
  return async (tx, list) => {
    const last = list.at(-1);
    if (last === undefined) return [];
    const size = 2 ** Math.ceil(Math.log2(list.length));
    let query = compiled.get(size);
    if (query === undefined) {
      query = checked(build(tx, Array.from<T>({ length: size }).fill(sample)).compile(), size);
      compiled.set(size, query);
    }
    const padded: T[] = [...list];
    while (padded.length < size) padded.push(last);
    const bound: CompiledQuery<R> = { ...query, parameters: padded };
    return (await tx.executeQuery(bound)).rows;
  };
}

/**
 * Inserts rows of one table one by one.
 *
 * @param sample a value for each column that is set; rows must have exactly these
 * @returns the new row's id
 */
export function insertTemplate<T extends keyof Tables>(
  table: T,
  sample: Insertable<Tables[T]>,
): (tx: Queries, row: Insertable<Tables[T]>) => Promise<number> {
  const columns = Object.keys(sample) as (keyof Insertable<Tables[T]>)[];
  let compiled: CompiledQuery<{ readonly id: number }> | undefined;
  return async (tx, row) => {
    // MySQL tells the new id along with its result, the others return it as a column.
    compiled ??= checked(insertQuery(tx, table, sample).compile(), columns.length);
    const bound: CompiledQuery<{ readonly id: number }> = {
      ...compiled,
      parameters: columns.map((column) => row[column]),
    };
    const { rows, insertId } = await tx.executeQuery(bound);
    return Number(rows[0]?.id ?? insertId);
  };
}

function insertQuery<T extends keyof Tables>(tx: Queries, table: T, sample: Insertable<Tables[T]>) {
  const insert = tx.insertInto(table).values(sample);
  return tx.getExecutor().adapter.supportsReturning ? insert.returning(sql<number>`id`.as('id')) : insert;
}

function checked<R>(query: CompiledQuery<R>, parameters: number): CompiledQuery<R> {
  if (query.parameters.length === parameters) return query;
  throw new TypeError(`the query has ${query.parameters.length} parameters, not ${parameters}`);
}
