import { type Expression, type ExpressionBuilder, type SqlBool, sql } from 'kysely';
import { FinialError } from '../../../common/errors.ts';
import { trustDomainId } from '../../../spiffe/id.ts';
import { formatSelector, type Selector } from '../../../spiffe/selector.ts';
import type { EntryFilter } from './contract.ts';
import type { ColumnValues, Queries } from './database.ts';
import { setMatches } from './set-match.ts';
import type { Count, Tables } from './tables.ts';

/** A filter of entries, ready to be put into queries. */
export interface EntryCondition {
  /** Whether the database may look at many rows that do not match; then a listing goes in windows. */
  readonly windowed: boolean;
  readonly where: (eb: EntryExpressions) => Expression<SqlBool>;
}

type EntryExpressions = ExpressionBuilder<Tables, 'registered_entries'>;

/** A selector with at most this many entries narrows a listing by its index; otherwise rows are looked at in order. */
const SELECTIVE_ROWS = 2000;
/** More alternatives than this are not looked up one by one. */
const MAX_ALTERNATIVES = 50;

/**
 * @throws FinialError `invalid-argument` when the filter names an empty set of selectors
 */
export async function entryCondition(tx: Queries, values: ColumnValues, filter: EntryFilter): Promise<EntryCondition> {
  const selectors = distinct(filter.selectors?.selectors ?? []);
  if (filter.selectors !== undefined && selectors.length === 0) {
    throw new FinialError('invalid-argument', 'cannot list by empty selector set');
  }
  const anchors = filter.selectors === undefined ? undefined : await selectiveSelectors(tx, filter, selectors);
  const trustDomains = [...new Set(filter.federatesWith?.trustDomains ?? [])].map(trustDomainId);
  const slow = filter.downstream === true || trustDomains.length > 0 || selectors.length > 0;
  return {
    windowed: slow && anchors === undefined,
    where: (eb) => {
      const all: Expression<SqlBool>[] = [];
      if (filter.spiffeId !== undefined) all.push(eb('registered_entries.spiffe_id', '=', filter.spiffeId));
      if (filter.parentId !== undefined) {
        const column = eb.ref('registered_entries.parent_id');
        all.push(eb(filter.spiffeId === undefined ? column : values.unindexed(column), '=', filter.parentId));
      }
      if (filter.hint !== undefined && filter.hint !== '') all.push(eb('registered_entries.hint', '=', filter.hint));
      if (filter.downstream === true) all.push(eb('registered_entries.downstream', '=', true));
      if (anchors !== undefined) all.push(eb('registered_entries.id', 'in', ownersOf(eb, anchors)));
      if (filter.selectors !== undefined) all.push(selectorMatch(eb, filter.selectors.match, selectors));
      if (filter.federatesWith !== undefined && trustDomains.length > 0) {
        all.push(federationMatch(eb, filter.federatesWith.match, trustDomains));
      }
      return eb.and(all);
    },
  };
}

/** The condition that an entry has exactly these selectors. */
export function hasExactly(eb: EntryExpressions, selectors: readonly Selector[]): Expression<SqlBool> {
  return selectorMatch(eb, 'exact', distinct(selectors));
}

/** The selectors through whose index all matches can be found, when those are few. */
async function selectiveSelectors(
  tx: Queries,
  filter: EntryFilter,
  selectors: readonly Selector[],
): Promise<readonly Selector[] | undefined> {
  if (selectors.length > MAX_ALTERNATIVES) return undefined;
  const counts: { readonly selector: Selector; readonly rows: number }[] = [];
  for (const selector of selectors) counts.push({ selector, rows: await rowsWith(tx, selector) });
  const match = filter.selectors?.match;
  if (match === 'exact' || match === 'superset') {
    const rarest = counts.reduce((a, b) => (b.rows < a.rows ? b : a));
    return rarest.rows > SELECTIVE_ROWS ? undefined : [rarest.selector];
  }
  const total = counts.reduce((sum, one) => sum + one.rows, 0);
  return total > SELECTIVE_ROWS ? undefined : selectors;
}

/** How many entries have the selector; counting stops above `SELECTIVE_ROWS`. */
async function rowsWith(tx: Queries, selector: Selector): Promise<number> {
  const { rows } = await tx
    .selectFrom((eb) =>
      eb
        .selectFrom('selectors')
        .select('id')
        .where('type', '=', selector.type)
        .where('value', '=', selector.value)
        .limit(SELECTIVE_ROWS + 1)
        .as('some'),
    )
    .select((eb) => eb.fn.countAll<Count>().as('rows'))
    .executeTakeFirstOrThrow();
  return Number(rows);
}

/** The row ids of the entries that have one of the selectors, to be looked up in its index. */
export function ownersOf(eb: EntryExpressions, selectors: readonly Selector[]) {
  return eb
    .selectFrom('selectors')
    .select('registered_entry_id')
    .where((inner) =>
      inner.or(selectors.map(({ type, value }) => inner.and([inner('type', '=', type), inner('value', '=', value)]))),
    );
}

function selectorMatch(
  eb: EntryExpressions,
  match: NonNullable<EntryFilter['selectors']>['match'],
  selectors: readonly Selector[],
): Expression<SqlBool> {
  const own = eb
    .selectFrom('selectors')
    .select((inner) => inner.fn.countAll<number>().as('n'))
    .whereRef('selectors.registered_entry_id', '=', 'registered_entries.id');
  // A type has no colon, so this text stands for one selector only.
  const texts = sql.join(selectors.map(formatSelector));
  const common = own.where(sql<SqlBool>`concat(selectors.type, ':', selectors.value) in (${texts})`);
  return setMatches(match, common, own, selectors.length);
}

function federationMatch(
  eb: EntryExpressions,
  match: NonNullable<EntryFilter['federatesWith']>['match'],
  trustDomains: readonly string[],
): Expression<SqlBool> {
  const own = eb
    .selectFrom('federated_registration_entries as link')
    .innerJoin('bundles', 'bundles.id', 'link.bundle_id')
    .select((inner) => inner.fn.countAll<number>().as('n'))
    .whereRef('link.registered_entry_id', '=', 'registered_entries.id');
  return setMatches(match, own.where('bundles.trust_domain', 'in', trustDomains), own, trustDomains.length);
}

/** Without repeats. */
export function distinct(selectors: readonly Selector[]): readonly Selector[] {
  return [...new Map(selectors.map((one) => [formatSelector(one), one])).values()];
}
