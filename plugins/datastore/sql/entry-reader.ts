import type { Selectable } from 'kysely';
import type { Logger } from '../../../common/log/logger.ts';
import { parseSpiffeId, type SpiffeId } from '../../../spiffe/id.ts';
import type { Entry } from '../../../spiffe/registration/entry.ts';
import type { Selector } from '../../../spiffe/selector.ts';
import { parseTrustDomain, type TrustDomain } from '../../../spiffe/trust-domain.ts';
import { decodeAttributes } from './bundle-codec.ts';
import type { ColumnValues, Queries } from './database.ts';
import type { EntryTable } from './tables.ts';
import { listTemplate, template } from './templates.ts';

/** A row as it comes from the database. */
export type EntryRow = Selectable<EntryTable>;

/** Turns rows of `registered_entries` and of the tables around it into entries. */
export interface EntryReader {
  byId(tx: Queries, entryId: string): Promise<{ readonly row: EntryRow; readonly entry: Entry } | undefined>;
  /**
   * The entries of `rows`, at most 500, in their order. A row that holds no valid SPIFFE ID is reported to the log and
   * left out, so that one damaged row does not hide all others.
   */
  hydrate(tx: Queries, rows: readonly EntryRow[]): Promise<readonly Entry[]>;
}

/** Makes entries of rows and of what belongs to them. */
export function entryReader(values: ColumnValues, log: Logger): EntryReader {
  const rowById = template([''], (tx, entryId) =>
    tx.selectFrom('registered_entries').selectAll().where('entry_id', '=', entryId),
  );
  const selectorsOf = listTemplate(0, (tx, ids) =>
    tx
      .selectFrom('selectors')
      .select(['registered_entry_id', 'type', 'value'])
      .where('registered_entry_id', 'in', ids)
      .orderBy('id'),
  );
  const dnsNamesOf = listTemplate(0, (tx, ids) =>
    tx
      .selectFrom('dns_names')
      .select(['registered_entry_id', 'value'])
      .where('registered_entry_id', 'in', ids)
      .orderBy('id'),
  );
  const trustDomainsOf = listTemplate(0, (tx, ids) =>
    tx
      .selectFrom('federated_registration_entries as link')
      .innerJoin('bundles', 'bundles.id', 'link.bundle_id')
      .select(['link.registered_entry_id', 'bundles.trust_domain'])
      .where('link.registered_entry_id', 'in', ids)
      .orderBy('bundles.trust_domain'),
  );

  const hydrate = async (tx: Queries, rows: readonly EntryRow[]): Promise<readonly Entry[]> => {
    const ids = rows.map((row) => row.id);
    const selectors = new Groups<Selector>();
    for (const row of await selectorsOf(tx, ids)) {
      selectors.add(row.registered_entry_id, { type: row.type ?? '', value: row.value ?? '' });
    }
    const dnsNames = new Groups<string>();
    for (const row of await dnsNamesOf(tx, ids)) dnsNames.add(row.registered_entry_id, row.value ?? '');
    const trustDomains = new Groups<TrustDomain>();
    for (const row of await trustDomainsOf(tx, ids)) {
      trustDomains.add(row.registered_entry_id, parseTrustDomain(row.trust_domain));
    }
    const parentOf = parentReader();
    const entries: Entry[] = [];
    for (const row of rows) {
      try {
        const parentId = parentOf(row);
        const federatesWith = trustDomains.of(row.id);
        const parts = { parentId, selectors: selectors.of(row.id), dnsNames: dnsNames.of(row.id), federatesWith };
        entries.push(toEntry(row, values, parts));
      } catch (error) {
        log.error('Stored registration entry is malformed', { entry_id: row.entry_id, error });
      }
    }
    return entries;
  };

  return {
    hydrate,
    async byId(tx, entryId) {
      const [row] = await rowById(tx, entryId);
      if (row === undefined) return undefined;
      const [entry] = await hydrate(tx, [row]);
      return entry === undefined ? undefined : { row, entry };
    },
  };
}

/** Values by the row id of the entry that they belong to. */
class Groups<T> {
  readonly #groups = new Map<number, T[]>();

  add(rowId: number, value: T): void {
    const group = this.#groups.get(rowId);
    if (group === undefined) this.#groups.set(rowId, [value]);
    else group.push(value);
  }

  of(rowId: number): readonly T[] {
    return this.#groups.get(rowId) ?? [];
  }
}

/** Reads the parent IDs of many rows, each ID once: a parent has many entries. */
function parentReader(): (row: EntryRow) => SpiffeId {
  const known = new Map<string | null, SpiffeId>();
  return ({ parent_id: text }) => {
    const parentId = known.get(text) ?? parseSpiffeId(text ?? '');
    known.set(text, parentId);
    return parentId;
  };
}

function toEntry(
  row: EntryRow,
  values: ColumnValues,
  parts: Pick<Entry, 'parentId' | 'selectors' | 'dnsNames' | 'federatesWith'>,
): Entry {
  const attributes = row.additional_attributes;
  return {
    id: row.entry_id ?? '',
    spiffeId: parseSpiffeId(row.spiffe_id ?? ''),
    parentId: parts.parentId,
    selectors: parts.selectors,
    x509SvidTtl: row.ttl ?? 0,
    jwtSvidTtl: row.jwt_svid_ttl ?? 0,
    federatesWith: parts.federatesWith,
    admin: Boolean(row.admin),
    downstream: Boolean(row.downstream),
    expiresAt: row.expiry ?? 0,
    dnsNames: parts.dnsNames,
    revisionNumber: row.revision_number ?? 0,
    storeSvid: Boolean(row.store_svid),
    hint: row.hint ?? '',
    // The nearest second, as the reference rounds it: agents compare this value.
    createdAt: Math.round((values.millis(row.created_at) ?? 0) / 1000),
    ...(attributes === null || attributes.length === 0 ? {} : { additionalAttributes: decodeAttributes(attributes) }),
  };
}
