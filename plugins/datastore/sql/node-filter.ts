import { type Expression, type ExpressionBuilder, type SqlBool, sql } from 'kysely';
import { FinialError } from '../../../common/errors.ts';
import { formatSelector } from '../../../spiffe/selector.ts';
import type { NodeFilter } from './contract.ts';
import type { ColumnValues } from './database.ts';
import { distinct } from './entry-filter.ts';
import { setMatches } from './set-match.ts';
import type { Tables } from './tables.ts';

type NodeExpressions = ExpressionBuilder<Tables, 'attested_node_entries'>;

/** A filter of nodes, ready to be put into queries. */
export interface NodeCondition {
  /** Whether rows may be looked at that do not match; the reference's indexes serve no filter of nodes. */
  readonly windowed: boolean;
  readonly where: (eb: NodeExpressions) => Expression<SqlBool>;
}

/** @throws FinialError `invalid-argument` when the filter names an empty set of selectors */
export function nodeCondition(values: ColumnValues, filter: NodeFilter): NodeCondition {
  if (filter.selectors !== undefined && filter.selectors.selectors.length === 0) {
    throw new FinialError('invalid-argument', 'cannot list by empty selectors set');
  }
  const { attestationType, selectors, banned, canReattest, expiresBefore } = filter;
  return {
    windowed: Object.values(filter).some((value) => value !== undefined),
    where: (eb) => {
      const all: Expression<SqlBool>[] = [];
      if (attestationType !== undefined && attestationType !== '') all.push(eb('data_type', '=', attestationType));
      if (banned !== undefined) all.push(eb('serial_number', banned ? '=' : '<>', ''));
      if (canReattest !== undefined) all.push(eb('can_reattest', '=', canReattest));
      if (expiresBefore !== undefined) {
        all.push(values.isBefore(eb.ref('attested_node_entries.expires_at'), expiresBefore * 1000));
      }
      if (selectors !== undefined) all.push(selectorMatch(eb, selectors));
      return eb.and(all);
    },
  };
}

function selectorMatch(eb: NodeExpressions, filter: NonNullable<NodeFilter['selectors']>): Expression<SqlBool> {
  const selectors = distinct(filter.selectors);
  const own = eb
    .selectFrom('node_resolver_map_entries as own')
    .select((inner) => inner.fn.countAll<number>().as('n'))
    .whereRef('own.spiffe_id', '=', 'attested_node_entries.spiffe_id');
  // A type has no colon, so this text stands for one selector only.
  const texts = sql.join(selectors.map(formatSelector));
  const common = own.where(sql<SqlBool>`concat(own.type, ':', own.value) in (${texts})`);
  return setMatches(filter.match, common, own, selectors.length);
}
