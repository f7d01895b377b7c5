import { type Expression, type SqlBool, sql } from 'kysely';
import type { SetMatch } from './contract.ts';

/**
 * The condition that a row's set relates to a wanted set as `match` says. A row whose set is empty never matches.
 *
 * @param common how many of the row's elements are wanted ones
 * @param all how many elements the row has
 * @param wanted size of the wanted set, without repeats
 */
export function setMatches(
  match: SetMatch,
  common: Expression<unknown>,
  all: Expression<unknown>,
  wanted: number,
): Expression<SqlBool> {
  switch (match) {
    case 'any':
      return sql<SqlBool>`${common} > 0`;
    case 'subset':
      return sql<SqlBool>`(${common} > 0 and ${common} = ${all})`;
    case 'superset':
      return sql<SqlBool>`${common} = ${wanted}`;
    case 'exact':
      return sql<SqlBool>`(${common} = ${wanted} and ${all} = ${wanted})`;
  }
}
