import type { Updateable } from 'kysely';
import type { AttestedNode } from '../../../spiffe/registration/node.ts';
import { formatSelector, type Selector, selectorKeys } from '../../../spiffe/selector.ts';
import type { SpiffeId } from '../../../spiffe/id.ts';
import { type ChangingQueries, change, listEvents, type StoreContext } from './changes.ts';
import type { ChangeEvent, NodeStore } from './contract.ts';
import type { ColumnValues, Queries, SqlDatabase } from './database.ts';
import { distinct } from './entry-filter.ts';
import type { EntryWriter } from './entry-writer.ts';
import { notFound, sqlError } from './errors.ts';
import { newestEvent, pruneEvents } from './events.ts';
import { type NodeCondition, nodeCondition } from './node-filter.ts';
import type { NodeReader, NodeRow } from './node-reader.ts';
import { countInSteps, parseToken, type Range, type Rows, scan } from './paging.ts';
import type { Count, DbTime, NodeTable } from './tables.ts';
import { insertTemplate } from './templates.ts';

type NodeChange = Parameters<NodeStore['update']>[1];

/** Attested nodes in SQL. */
export function nodeStore(context: StoreContext, reader: NodeReader, entries: EntryWriter): NodeStore {
  const { database, changes, log } = context;
  const { values } = database;
  const save = attestedWriter(values, reader);
  const maxId = (): Promise<number> => database.read((tx) => highestId(tx));

  return {
    async count(filter = {}) {
      const condition = nodeCondition(values, filter);
      if (!condition.windowed) return database.read((tx) => countRows(tx, condition, undefined));
      return countInSteps(maxId, (range) => database.read((tx) => countRows(tx, condition, range)));
    },

    async list({ filter = {}, page, withSelectors }) {
      if (page !== undefined && page.size > 0) parseToken(page.token);
      const condition = nodeCondition(values, filter);
      const { items, nextToken } = await scan<AttestedNode>({
        page,
        windowed: condition.windowed,
        maxId,
        fetch: (range, limit) => database.read((tx) => fetchNodes(tx, reader, condition, range, limit, withSelectors)),
      });
      return { nodes: items, nextToken };
    },

    get: untilChanged(database, (id) =>
      database.read(async (tx) => {
        const row = await reader.row(tx, id);
        return row === undefined ? undefined : (await reader.hydrate(tx, [row], true))[0];
      }),
    ),

    attested: (node) => change(context, (write) => save(write, node)),

    update: (id, wanted) =>
      change(context, async (write) => {
        await updateNode(write, values, id, wanted);
        return wholeNode(write.tx, reader, id);
      }),

    delete: (id) =>
      change(context, async (write) => {
        const node = await wholeNode(write.tx, reader, id);
        const aliases = node.attestationType === 'join_token' ? await entries.deleteJoinTokenAliases(write, id) : [];
        for (const { id: entry_id, spiffeId: spiffe_id, parentId: parent_id } of aliases) {
          const about = { entry_id, spiffe_id, parent_id };
          log.info('Cascade-deleted registration entry on attested node deletion', about);
        }
        await deleteNode(write, id);
        return node;
      }),

    events: (after) => listEvents(after, (last, limit) => database.read((tx) => nodeEvents(tx, last, limit))),
    newestEvent: () => newestEvent(database, 'attested_node_entries_events'),
    pruneEvents: (before) => pruneEvents(database, 'attested_node_entries_events', before),

    onChange: (listener) => changes.nodes.subscribe(listener),
  };
}

/** Stands in for a row where only the names of its columns count. */
const NO_NODE = {
  spiffe_id: '',
  data_type: '',
  agent_version: '',
  serial_number: '',
  new_serial_number: '',
  new_expires_at: null,
  can_reattest: false,
};

/** So many nodes are kept between two changes of the database. */
const MAX_KEPT = 10_000;

/**
 * Remembers nodes for as long as nothing at all was committed to the database, by whomever: every call of an agent asks
 * for its node, and a ban must count from the next call on.
 */
function untilChanged(database: SqlDatabase, read: NodeStore['get']): NodeStore['get'] {
  const { version } = database;
  if (version === undefined) return read;
  const kept = new Map<SpiffeId, AttestedNode | undefined>();
  let keptAt: number | undefined;
  return async (id) => {
    const now = version();
    if (now !== keptAt || kept.size > MAX_KEPT) kept.clear();
    keptAt = now;
    if (kept.has(id)) return kept.get(id);
    const node = await read(id);
    // A commit that came meanwhile may be missing in what was read.
    if (keptAt === now && version() === now) kept.set(id, node);
    return node;
  };
}

/** Inserts or updates nodes and replaces their selectors. */
function attestedWriter(
  values: ColumnValues,
  reader: NodeReader,
): (write: ChangingQueries, node: Parameters<NodeStore['attested']>[0]) => Promise<void> {
  const insert = insertTemplate('attested_node_entries', {
    ...NO_NODE,
    expires_at: values.time(0),
    updated_at: values.time(0),
    created_at: values.time(0),
  });
  return async (write, node) => {
    const time = values.time(write.now);
    const row = await reader.row(write.tx, node.id);
    const attested = {
      serial_number: node.serialNumber,
      expires_at: values.time(node.expiresAt * 1000),
      new_serial_number: '',
      new_expires_at: null,
      can_reattest: node.canReattest,
      updated_at: time,
    };
    if (row === undefined) {
      const identity = { spiffe_id: node.id, data_type: node.attestationType, agent_version: '', created_at: time };
      await insert(write.tx, { ...identity, ...attested });
    } else {
      await write.tx.updateTable('attested_node_entries').set(attested).where('id', '=', row.id).execute();
    }
    await replaceSelectors(write.tx, time, node.id, await reader.selectors(write.tx, node.id), node.selectors);
    await write.nodesChanged([node.id]);
  };
}

/** @throws FinialError `not-found` */
async function updateNode(
  write: ChangingQueries,
  values: ColumnValues,
  id: SpiffeId,
  wanted: NodeChange,
): Promise<void> {
  const { numUpdatedRows } = await write.tx
    .updateTable('attested_node_entries')
    .set({ ...changedColumns(values, wanted), updated_at: values.time(write.now) })
    .where('spiffe_id', '=', id)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows === 0n) throw notFound();
  await write.nodesChanged([id]);
}

async function deleteNode(write: ChangingQueries, id: SpiffeId): Promise<void> {
  await write.tx.deleteFrom('node_resolver_map_entries').where('spiffe_id', '=', id).execute();
  await write.tx.deleteFrom('attested_node_entries').where('spiffe_id', '=', id).execute();
  await write.nodesChanged([id]);
}

/** Touches only the rows that differ: an agent usually attests again with the same selectors. */
async function replaceSelectors(
  tx: Queries,
  time: DbTime,
  id: SpiffeId,
  before: readonly Selector[],
  after: readonly Selector[],
): Promise<void> {
  const wanted = selectorKeys(after);
  const known = selectorKeys(before);
  for (const { type, value } of before.filter((one) => !wanted.has(formatSelector(one)))) {
    await tx
      .deleteFrom('node_resolver_map_entries')
      .where('spiffe_id', '=', id)
      .where('type', '=', type)
      .where('value', '=', value)
      .execute();
  }
  const added = distinct(after).filter((one) => !known.has(formatSelector(one)));
  if (added.length === 0) return;
  const rows = added.map(({ type, value }) => ({ created_at: time, updated_at: time, spiffe_id: id, type, value }));
  await tx.insertInto('node_resolver_map_entries').values(rows).execute();
}

function changedColumns(values: ColumnValues, wanted: NodeChange): Updateable<NodeTable> {
  const { serialNumber, expiresAt, newSerialNumber, newExpiresAt, canReattest, agentVersion } = wanted;
  return {
    ...(serialNumber === undefined ? {} : { serial_number: serialNumber }),
    ...(expiresAt === undefined ? {} : { expires_at: values.time(expiresAt * 1000) }),
    ...(newSerialNumber === undefined ? {} : { new_serial_number: newSerialNumber }),
    ...(newExpiresAt === undefined
      ? {}
      : { new_expires_at: newExpiresAt === 0 ? null : values.time(newExpiresAt * 1000) }),
    ...(canReattest === undefined ? {} : { can_reattest: canReattest }),
    ...(agentVersion === undefined ? {} : { agent_version: agentVersion }),
  };
}

async function wholeNode(tx: Queries, reader: NodeReader, id: SpiffeId): Promise<AttestedNode> {
  const row = await reader.row(tx, id);
  if (row === undefined) throw notFound();
  const [node] = await reader.hydrate(tx, [row], true);
  if (node === undefined) throw sqlError('data-loss', 'the stored agent is malformed');
  return node;
}

async function nodeEvents(tx: Queries, after: number, limit: number): Promise<readonly ChangeEvent[]> {
  const rows = await tx
    .selectFrom('attested_node_entries_events')
    .select(['id', 'spiffe_id'])
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map((row) => ({ eventId: row.id, key: row.spiffe_id ?? '' }));
}

async function highestId(tx: Queries): Promise<number> {
  const { id } = await tx
    .selectFrom('attested_node_entries')
    .select((eb) => eb.fn.max('id').as('id'))
    .executeTakeFirstOrThrow();
  return id ?? 0;
}

async function countRows(tx: Queries, condition: NodeCondition, range: Range | undefined): Promise<number> {
  let query = tx
    .selectFrom('attested_node_entries')
    .select((eb) => eb.fn.countAll<Count>().as('n'))
    .where(condition.where);
  if (range !== undefined) query = query.where('id', '>', range.after).where('id', '<=', range.upTo);
  return Number((await query.executeTakeFirstOrThrow()).n);
}

async function fetchNodes(
  tx: Queries,
  reader: NodeReader,
  condition: NodeCondition,
  range: Range,
  limit: number,
  withSelectors: boolean,
): Promise<Rows<AttestedNode>> {
  let query = tx.selectFrom('attested_node_entries').selectAll().where(condition.where).where('id', '>', range.after);
  if (Number.isFinite(range.upTo)) query = query.where('id', '<=', range.upTo);
  const rows: readonly NodeRow[] = await query.orderBy('id').limit(limit).execute();
  return {
    items: await reader.hydrate(tx, rows, withSelectors),
    matched: rows.length,
    lastId: rows.at(-1)?.id ?? 0,
  };
}
