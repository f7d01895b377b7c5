import type { Selectable } from 'kysely';
import { FinialError, messageOf } from '../../../common/errors.ts';
import { type Bundle, emptyBundle } from '../../../spiffe/bundle/bundle.ts';
import { mergeBundles, type PrunedBundle, pruneBundle } from '../../../spiffe/bundle/change.ts';
import { SpiffeError } from '../../../spiffe/error.ts';
import { trustDomainId } from '../../../spiffe/id.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import { decodeBundle, encodeBundle } from './bundle-codec.ts';
import { type ChangingQueries, change, type StoreContext } from './changes.ts';
import type { BundleStore } from './contract.ts';
import type { ColumnValues, Queries } from './database.ts';
import { sqlError } from './errors.ts';
import { type Rows, scan } from './paging.ts';
import type { BundleTable, Count } from './tables.ts';
import { template } from './templates.ts';

type BundleRow = Selectable<BundleTable>;
type FindRow = (tx: Queries, trustDomainId: string) => Promise<readonly BundleRow[]>;

/** Bundles in SQL, of the own trust domain and of others. */
export function bundleStore(context: StoreContext): BundleStore {
  const { database, log } = context;
  const { values } = database;
  const find: FindRow = template([''], (tx, id) => tx.selectFrom('bundles').selectAll().where('trust_domain', '=', id));

  return {
    get: (trustDomain) => database.read((tx) => stored(tx, find, trustDomain)),

    async list({ page }) {
      const { items, nextToken } = await scan<Bundle>({
        page,
        windowed: false,
        maxId: () => Promise.resolve(0),
        fetch: ({ after }, limit) => database.read((tx) => fetchBundles(tx, after, limit)),
      });
      return { bundles: items, nextToken };
    },

    count: () =>
      database.read(async (tx) => {
        const { n } = await tx
          .selectFrom('bundles')
          .select((eb) => eb.fn.countAll<Count>().as('n'))
          .executeTakeFirstOrThrow();
        return Number(n);
      }),

    append: (bundle) =>
      change(context, async (write) => {
        const before = await stored(write.tx, find, bundle.trustDomain);
        if (before === undefined) return insert(write, values, { ...emptyBundle(bundle.trustDomain), ...bundle });
        const merged = mergeBundles(before, bundle);
        return merged.changed ? replace(write, values, merged.bundle) : before;
      }),

    set: (bundle) =>
      change(context, async (write) => {
        const before = await stored(write.tx, find, bundle.trustDomain);
        return before === undefined ? insert(write, values, bundle) : replace(write, values, bundle);
      }),

    prune: (trustDomain, expiresBefore) =>
      change(context, async (write) => {
        const before = await stored(write.tx, find, trustDomain);
        if (before === undefined) return false;
        const pruned = pruneChecked(before, expiresBefore);
        if (!pruned.changed) return false;
        await replace(write, values, pruned.bundle);
        const { x509Authorities, jwtAuthorities, witAuthorities } = pruned.removed;
        log.info('Pruned expired authorities of a bundle', {
          trust_domain_id: trustDomainId(trustDomain),
          x509_authorities: x509Authorities.length,
          jwt_authorities: jwtAuthorities.length,
          wit_authorities: witAuthorities.length,
        });
        return true;
      }),
  };
}

async function fetchBundles(tx: Queries, after: number, limit: number): Promise<Rows<Bundle>> {
  const rows = await tx.selectFrom('bundles').selectAll().where('id', '>', after).orderBy('id').limit(limit).execute();
  return { items: rows.map(toBundle), matched: rows.length, lastId: rows.at(-1)?.id ?? 0 };
}

async function stored(tx: Queries, find: FindRow, trustDomain: TrustDomain): Promise<Bundle | undefined> {
  const [row] = await find(tx, trustDomainId(trustDomain));
  return row === undefined ? undefined : toBundle(row);
}

function toBundle(row: BundleRow): Bundle {
  try {
    return decodeBundle(row.data ?? Buffer.alloc(0));
  } catch (error) {
    throw sqlError('data-loss', `the stored bundle of "${row.trust_domain}" is damaged: ${messageOf(error)}`, error);
  }
}

async function insert(write: ChangingQueries, values: ColumnValues, bundle: Bundle): Promise<Bundle> {
  const time = values.time(write.now);
  await write.tx
    .insertInto('bundles')
    .values({
      created_at: time,
      updated_at: time,
      trust_domain: trustDomainId(bundle.trustDomain),
      data: encodeBundle(bundle),
    })
    .execute();
  return bundle;
}

async function replace(write: ChangingQueries, values: ColumnValues, bundle: Bundle): Promise<Bundle> {
  await write.tx
    .updateTable('bundles')
    .set({ data: encodeBundle(bundle), updated_at: values.time(write.now) })
    .where('trust_domain', '=', trustDomainId(bundle.trustDomain))
    .execute();
  return bundle;
}

function pruneChecked(bundle: Bundle, expiresBefore: number): PrunedBundle {
  try {
    return pruneBundle(bundle, expiresBefore);
  } catch (error) {
    if (!(error instanceof SpiffeError)) throw error;
    throw new FinialError('failed-precondition', `prune failed: ${error.message}`, { cause: error });
  }
}
