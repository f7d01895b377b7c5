import type { Selectable } from 'kysely';
import type { Logger } from '../../../common/log/logger.ts';
import { parseSpiffeId, type SpiffeId } from '../../../spiffe/id.ts';
import type { AttestedNode } from '../../../spiffe/registration/node.ts';
import type { Selector } from '../../../spiffe/selector.ts';
import type { ColumnValues, Queries } from './database.ts';
import type { NodeTable } from './tables.ts';
import { listTemplate, template } from './templates.ts';

/** A row as it comes from the database. */
export type NodeRow = Selectable<NodeTable>;

/** Turns rows of `attested_node_entries` into nodes. */
export interface NodeReader {
  row(tx: Queries, id: SpiffeId): Promise<NodeRow | undefined>;
  selectors(tx: Queries, id: SpiffeId): Promise<readonly Selector[]>;
  /**
   * The nodes of `rows`, at most 500, in their order; selectors are left empty unless asked for. A row without a valid
   * SPIFFE ID is reported to the log and left out.
   */
  hydrate(tx: Queries, rows: readonly NodeRow[], withSelectors: boolean): Promise<readonly AttestedNode[]>;
}

/** Makes nodes of rows and of their selectors. */
export function nodeReader(values: ColumnValues, log: Logger): NodeReader {
  const rowById = template([''], (tx, id) =>
    tx.selectFrom('attested_node_entries').selectAll().where('spiffe_id', '=', id),
  );
  const selectorsOf = listTemplate('', (tx, ids) =>
    tx
      .selectFrom('node_resolver_map_entries')
      .select(['spiffe_id', 'type', 'value'])
      .where('spiffe_id', 'in', ids)
      .orderBy('id'),
  );

  const selectorsById = async (tx: Queries, ids: readonly string[]): Promise<Map<string, Selector[]>> => {
    const groups = new Map<string, Selector[]>(ids.map((id) => [id, []]));
    for (const row of await selectorsOf(tx, ids)) {
      groups.get(row.spiffe_id ?? '')?.push({ type: row.type ?? '', value: row.value ?? '' });
    }
    return groups;
  };

  return {
    async row(tx, id) {
      return (await rowById(tx, id))[0];
    },

    async selectors(tx, id) {
      return (await selectorsById(tx, [id])).get(id) ?? [];
    },

    async hydrate(tx, rows, withSelectors) {
      const ids = rows.map((row) => row.spiffe_id ?? '');
      const selectors = withSelectors ? await selectorsById(tx, ids) : new Map<string, Selector[]>();
      const nodes: AttestedNode[] = [];
      for (const row of rows) {
        try {
          nodes.push(toNode(row, values, selectors.get(row.spiffe_id ?? '') ?? []));
        } catch (error) {
          log.error('Stored agent is malformed', { row_id: row.id, error });
        }
      }
      return nodes;
    },
  };
}

function toNode(row: NodeRow, values: ColumnValues, selectors: readonly Selector[]): AttestedNode {
  const seconds = (value: NodeRow['expires_at']): number => Math.floor((values.millis(value) ?? 0) / 1000);
  return {
    id: parseSpiffeId(row.spiffe_id ?? ''),
    attestationType: row.data_type ?? '',
    serialNumber: row.serial_number ?? '',
    expiresAt: seconds(row.expires_at),
    newSerialNumber: row.new_serial_number ?? '',
    newExpiresAt: seconds(row.new_expires_at),
    canReattest: Boolean(row.can_reattest),
    agentVersion: row.agent_version ?? '',
    selectors,
  };
}
