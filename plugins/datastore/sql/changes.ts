import type { Insertable } from 'kysely';
import type { Clock } from '../../../common/clock.ts';
import type { Logger } from '../../../common/log/logger.ts';
import type { SpiffeId } from '../../../spiffe/id.ts';
import type { ChangeEvent } from './contract.ts';
import type { Queries, SqlDatabase } from './database.ts';
import { pause } from './paging.ts';
import type { EntryEventTable, NodeEventTable } from './tables.ts';
import { insertTemplate } from './templates.ts';

/** What the parts of one store share. */
export interface StoreContext {
  readonly database: SqlDatabase;
  readonly clock: Clock;
  readonly log: Logger;
  /** A new random entry ID. */
  readonly newId: () => string;
  readonly changes: Changes;
}

/** A write transaction that takes note of what it changes. */
export interface ChangingQueries {
  readonly tx: Queries;
  /** Milliseconds since the epoch; one moment for all rows of the transaction. */
  readonly now: number;
  /** Writes the event rows that tell other servers, and after the commit calls this process's listeners. */
  entriesChanged(ids: readonly string[]): Promise<void>;
  nodesChanged(ids: readonly SpiffeId[]): Promise<void>;
}

/** Listeners for one kind of change. */
class Listeners<T> {
  readonly #listeners = new Set<(changed: readonly T[]) => void>();

  subscribe(listener: (changed: readonly T[]) => void): () => void {
    const own = (changed: readonly T[]): void => listener(changed);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** A listener that throws neither undoes the change, which is committed, nor keeps others from hearing of it. */
  notify(changed: readonly T[], log: Logger): void {
    if (changed.length === 0) return;
    for (const listener of [...this.#listeners]) {
      try {
        listener(changed);
      } catch (error) {
        log.error('Listener of datastore changes failed', { error });
      }
    }
  }
}

/** Who hears of changes, and where they are written down. */
export interface Changes {
  readonly entries: Listeners<string>;
  readonly nodes: Listeners<SpiffeId>;
  addEntryEvent(tx: Queries, row: Insertable<EntryEventTable>): Promise<number>;
  addNodeEvent(tx: Queries, row: Insertable<NodeEventTable>): Promise<number>;
}

/** For one store. */
export function newChanges(): Changes {
  const stamps = { created_at: '', updated_at: '' };
  return {
    entries: new Listeners(),
    nodes: new Listeners(),
    addEntryEvent: insertTemplate('registered_entries_events', { ...stamps, entry_id: '' }),
    addNodeEvent: insertTemplate('attested_node_entries_events', { ...stamps, spiffe_id: '' }),
  };
}

/** Runs `work` in a write transaction and, once it is committed, tells the listeners what it changed. */
export async function change<T>(context: StoreContext, work: (write: ChangingQueries) => Promise<T>): Promise<T> {
  const { database, clock, changes, log } = context;
  const entries: string[] = [];
  const nodes: SpiffeId[] = [];
  const result = await database.write(async (tx) => {
    const now = clock.now();
    const time = database.values.time(now);
    const stamps = { created_at: time, updated_at: time };
    return work({
      tx,
      now,
      async entriesChanged(ids) {
        for (const entry_id of ids) {
          await changes.addEntryEvent(tx, { entry_id, ...stamps });
          entries.push(entry_id);
        }
      },
      async nodesChanged(ids) {
        for (const spiffe_id of ids) {
          await changes.addNodeEvent(tx, { spiffe_id, ...stamps });
          nodes.push(spiffe_id);
        }
      },
    });
  });
  changes.entries.notify(entries, log);
  changes.nodes.notify(nodes, log);
  return result;
}

/** Rows of one event table, as a listing step reads them. */
const EVENT_ROWS = 5000;

/** Reads events above `after` in bounded steps. */
export async function listEvents(
  after: number,
  fetch: (after: number, limit: number) => Promise<readonly ChangeEvent[]>,
): Promise<readonly ChangeEvent[]> {
  const events: ChangeEvent[] = [];
  let last = after;
  for (;;) {
    const rows = await fetch(last, EVENT_ROWS);
    for (const row of rows) events.push(row);
    const end = rows.at(-1);
    if (end === undefined || rows.length < EVENT_ROWS) return events;
    last = end.eventId;
    await pause();
  }
}
