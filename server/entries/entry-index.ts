import type { Clock } from '../../common/clock.ts';
import { unixSeconds } from '../../common/clock.ts';
import { messageOf } from '../../common/errors.ts';
import { every } from '../../common/every.ts';
import type { Closable, Task } from '../../common/lifecycle.ts';
import type { Logger } from '../../common/log/logger.ts';
import { oneAtATime } from '../../common/one-at-a-time.ts';
import type { ChangeEvent, EntryStore, NodeStore } from '../../plugins/datastore/sql/contract.ts';
import type { SpiffeId } from '../../spiffe/id.ts';
import {
  aliasSelectorsOf,
  authorizedAmong,
  authorizedEntries,
  type AuthorizedQuery,
} from '../../spiffe/registration/authorized.ts';
import type { Entry } from '../../spiffe/registration/entry.ts';
import type { EntryHandle, IdKey } from '../../spiffe/registration/graph.ts';
import type { AttestedNode } from '../../spiffe/registration/node.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { CompactEntries } from './compact-entries.ts';
import { EventCursor } from './event-cursor.ts';

/** Where entries and nodes come from, and how often they are asked for. */
export interface EntryIndexDeps {
  readonly trustDomain: TrustDomain;
  readonly entries: Pick<EntryStore, 'list' | 'get' | 'events' | 'onChange'>;
  readonly nodes: Pick<NodeStore, 'list' | 'get' | 'events' | 'onChange'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Milliseconds between looks at the events of other servers. */
  readonly reloadInterval: number;
  /** Milliseconds between full loads, which heal whatever events did not tell. */
  readonly fullReloadInterval: number;
  /** Milliseconds for which skipped event IDs are looked for. */
  readonly eventTimeout: number;
}

/** Which entries each agent may have, in memory and current. */
export interface EntryIndex extends Closable {
  /** All entries the agent may have; the order means nothing. */
  authorized(agentId: SpiffeId): readonly Entry[];
  /** Those of `ids` the agent may have, by entry ID. */
  lookup(agentId: SpiffeId, ids: ReadonlySet<string>): ReadonlyMap<string, Entry>;
  /** Follows the changes of other servers. Those of this process are followed from the start. */
  readonly run: Task;
}

/** What the index needs of a node; serial numbers and the like are none of its business. */
type NodeFacts = Pick<AttestedNode, 'expiresAt' | 'selectors'>;

/** The synchronous store is busy while it reads a page, so a page is small. */
const LOAD_PAGE = 1000;

/** Loads everything once. @throws what the datastore throws */
export async function openEntryIndex(deps: EntryIndexDeps): Promise<EntryIndex> {
  const { clock, entries, nodes } = deps;
  const held = new CompactEntries(deps.trustDomain);
  const { graph } = held;
  const facts = new Map<SpiffeId, NodeFacts>();
  const inTurn = oneAtATime();

  const entryFollower = follower(deps, 'entry', entries, {
    load: () => loadEntries(entries, held),
    async refresh(id) {
      const entry = await entries.get(id);
      if (entry === undefined) held.remove(id);
      else held.put(entry);
    },
  });
  const nodeFollower = follower(deps, 'node', nodes, {
    load: () => loadNodes(nodes, facts),
    async refresh(id) {
      // Keys of the node tables are the IDs that were put in.
      const node = await nodes.get(id as SpiffeId);
      if (node === undefined) facts.delete(id as SpiffeId);
      else facts.set(node.id, factsOf(node));
    },
  });

  const followers = [entryFollower, nodeFollower];
  const unsubscribe = [
    entries.onChange((ids) => void inTurn(() => entryFollower.changed(ids))),
    nodes.onChange((ids) => void inTurn(() => nodeFollower.changed(ids))),
  ];
  await inTurn(async () => {
    for (const one of followers) await one.load();
  });

  const query = (agentId: SpiffeId): AuthorizedQuery<EntryHandle, IdKey> => ({
    agentId,
    agentSelectors: aliasSelectorsOf(facts.get(agentId), unixSeconds(clock)),
    source: graph,
  });
  let loadedAt = clock.steady();
  return {
    authorized: (agentId) => authorizedEntries(query(agentId)).map((handle) => held.entryOf(handle)),
    lookup(agentId, ids) {
      const wanted = new Set([...ids].map((id) => graph.handleOf(id)).filter((handle) => handle !== undefined));
      const found = [...authorizedAmong(query(agentId), wanted)].map((handle) => held.entryOf(handle));
      return new Map(found.map((entry) => [entry.id, entry]));
    },
    run: (signal) =>
      every(deps.reloadInterval, clock, signal, () =>
        inTurn(async () => {
          const full = clock.steady() - loadedAt >= deps.fullReloadInterval;
          if (full) loadedAt = clock.steady();
          for (const one of followers) await one.poll(full);
        }),
      ),
    close() {
      for (const stop of unsubscribe) stop();
    },
  };
}

interface Follower {
  load(): Promise<void>;
  changed(keys: Iterable<string>): Promise<void>;
  /** Reads new events, or everything when `full`; a failure is logged and the old state kept. */
  poll(full: boolean): Promise<void>;
}

/** Keeps one table's image current. What could not be read stays due until it can. */
function follower(
  { clock, eventTimeout, log }: EntryIndexDeps,
  what: 'entry' | 'node',
  source: { events(after: number): Promise<readonly ChangeEvent[]> },
  image: { load(): Promise<void>; refresh(key: string): Promise<void> },
): Follower {
  const cursor = new EventCursor(eventTimeout);
  const due = new Set<string>();
  const refreshDue = async (): Promise<void> => {
    const failures: unknown[] = [];
    for (const key of due) {
      try {
        await image.refresh(key);
        due.delete(key);
      } catch (error) {
        // One row that cannot be read must not keep the others from being followed.
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  };
  const guarded = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      log.error(`Failed to update the ${what} cache; keeping the old one`, { error: messageOf(error) });
    }
  };
  return {
    async load() {
      // Events first: what happens during the load is then seen again, not missed.
      cursor.start(await source.events(0), clock.steady());
      await image.load();
    },
    changed: (keys) =>
      guarded(async () => {
        for (const key of keys) due.add(key);
        await refreshDue();
      }),
    poll: (full) =>
      guarded(async () => {
        for (const key of cursor.advance(await source.events(cursor.after), clock.steady())) due.add(key);
        await refreshDue();
        if (full) await image.load();
      }),
  };
}

async function loadEntries(store: EntryIndexDeps['entries'], held: CompactEntries): Promise<void> {
  const gone = new Set(held.graph.entryIds());
  let token = '';
  do {
    const page = await store.list({ page: { size: LOAD_PAGE, token } });
    for (const entry of page.entries) {
      held.put(entry);
      gone.delete(entry.id);
    }
    token = page.nextToken;
  } while (token !== '');
  for (const id of gone) held.remove(id);
}

function factsOf({ expiresAt, selectors }: AttestedNode): NodeFacts {
  return { expiresAt, selectors };
}

async function loadNodes(store: EntryIndexDeps['nodes'], facts: Map<SpiffeId, NodeFacts>): Promise<void> {
  const gone = new Set(facts.keys());
  let token = '';
  do {
    const page = await store.list({ page: { size: LOAD_PAGE, token }, withSelectors: true });
    for (const node of page.nodes) {
      facts.set(node.id, factsOf(node));
      gone.delete(node.id);
    }
    token = page.nextToken;
  } while (token !== '');
  for (const id of gone) facts.delete(id);
}
