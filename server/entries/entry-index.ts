import type { Clock } from '../../common/clock.ts';
import { unixSeconds } from '../../common/clock.ts';
import { messageOf } from '../../common/errors.ts';
import { every } from '../../common/every.ts';
import { type Closable, runTasks, type Task } from '../../common/lifecycle.ts';
import type { Logger } from '../../common/log/logger.ts';
import { oneAtATime } from '../../common/one-at-a-time.ts';
import type { EntryStore, EventLog, NodeStore } from '../../plugins/datastore/sql/contract.ts';
import type { SpiffeId } from '../../spiffe/id.ts';
import {
  aliasSelectorsOf,
  authorizedAmong,
  authorizedEntries,
  type AuthorizedQuery,
} from '../../spiffe/registration/authorized.ts';
import type { Entry } from '../../spiffe/registration/entry.ts';
import type { EntryHandle, IdKey } from '../../spiffe/registration/graph.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { CompactEntries } from './compact-entries.ts';
import { type ConcernSource, concernedAgents, type IndexChange } from './concerned.ts';
import { EventCursor, oldestOfInterest } from './event-cursor.ts';
import { entryImage, type Image, type NodeFacts, nodeImage } from './images.ts';

/** Where entries and nodes come from, and how often they are asked for. */
export interface EntryIndexDeps {
  readonly trustDomain: TrustDomain;
  readonly entries: Pick<EntryStore, 'list' | 'get' | 'events' | 'newestEvent' | 'onChange'>;
  readonly nodes: Pick<NodeStore, 'list' | 'get' | 'events' | 'newestEvent' | 'onChange'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** `DataStore.version`: with it, changes of other processes show within `WATCH_MS`. */
  readonly version?: (() => number) | undefined;
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
  /** Calls back with each change that the index has taken up. What only a full load found is not told. */
  onChange(listener: (change: IndexChange) => void): () => void;
  /** Those of `agents` who may have other entries since `changes`; all of them where that is not easy to tell. */
  concerned(changes: Iterable<IndexChange>, agents: ReadonlySet<SpiffeId>): ReadonlySet<SpiffeId>;
  /** Follows the changes of other servers. Those of this process are followed from the start. */
  readonly run: Task;
}

/** Milliseconds between looks whether another process changed the file; one costs microseconds. */
const WATCH_MS = 100;

/** Loads everything once. @throws what the datastore throws */
export async function openEntryIndex(deps: EntryIndexDeps): Promise<EntryIndex> {
  const { clock, entries, nodes } = deps;
  const held = new CompactEntries(deps.trustDomain);
  const { graph } = held;
  const facts = new Map<SpiffeId, NodeFacts>();
  const inTurn = oneAtATime();
  const listeners = new Set<(change: IndexChange) => void>();
  const tell = (change: IndexChange): void => {
    for (const listener of listeners) listener(change);
  };

  const entryFollower = follower(deps, 'entry', entries, entryImage(entries, held, tell));
  const nodeFollower = follower(deps, 'node', nodes, nodeImage(nodes, facts, tell));
  const followers = [entryFollower, nodeFollower];
  const unsubscribe = [
    entries.onChange((ids) => void inTurn(() => entryFollower.changed(ids))),
    nodes.onChange((ids) => void inTurn(() => nodeFollower.changed(ids))),
  ];
  await inTurn(async () => {
    for (const one of followers) await one.load();
  });

  const source: ConcernSource = {
    graph,
    selectorsOf: (handle) => held.entryOf(handle).selectors,
    agentSelectors: (agentId) => aliasSelectorsOf(facts.get(agentId), unixSeconds(clock)),
  };
  const query = (agentId: SpiffeId): AuthorizedQuery<EntryHandle, IdKey> => ({
    agentId,
    agentSelectors: source.agentSelectors(agentId),
    source: graph,
  });
  return {
    authorized: (agentId) => authorizedEntries(query(agentId)).map((handle) => held.entryOf(handle)),
    lookup(agentId, ids) {
      const wanted = new Set([...ids].map((id) => graph.handleOf(id)).filter((handle) => handle !== undefined));
      const found = [...authorizedAmong(query(agentId), wanted)].map((handle) => held.entryOf(handle));
      return new Map(found.map((entry) => [entry.id, entry]));
    },
    onChange(listener) {
      const own = (change: IndexChange): void => listener(change);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    concerned: (changes, agents) => concernedAgents(source, changes, agents),
    run: (signal) => runTasks(followTasks(deps, followers, inTurn), signal),
    close() {
      for (const stop of unsubscribe) stop();
    },
  };
}

/** What follows other servers: a look at each interval and, where it costs next to nothing, soon after each commit. */
function followTasks(
  { clock, fullReloadInterval, reloadInterval, version }: EntryIndexDeps,
  followers: readonly Follower[],
  inTurn: ReturnType<typeof oneAtATime>,
): Readonly<Record<string, Task>> {
  let loadedAt = clock.steady();
  const poll = (): Promise<void> =>
    inTurn(async () => {
      const full = clock.steady() - loadedAt >= fullReloadInterval;
      if (full) loadedAt = clock.steady();
      for (const one of followers) await one.poll(full);
    });
  const reload: Task = (signal) => every(reloadInterval, clock, signal, poll);
  if (version === undefined) return { reload };
  let seen: number | undefined;
  const look = (): number | undefined => {
    try {
      return version();
    } catch {
      // The file is locked for repair after a crash. Not known is another state than the one seen, so it is asked again.
      return undefined;
    }
  };
  const watch: Task = (signal) =>
    every(WATCH_MS, clock, signal, async () => {
      const now = look();
      if (now === seen) return;
      seen = now;
      await inTurn(async () => {
        for (const one of followers) await one.catchUp();
      });
    });
  return { reload, watch };
}

interface Follower {
  load(): Promise<void>;
  changed(keys: Iterable<string>): Promise<void>;
  /** Reads events that are new or were skipped, or everything when `full`; a failure is logged and the old state kept. */
  poll(full: boolean): Promise<void>;
  /** Reads events that are new. Those that were skipped cost more to look for, which is left to `poll`. */
  catchUp(): Promise<void>;
}

/** Keeps one table's image current. What could not be read stays due until it can. */
function follower(
  { clock, eventTimeout, log }: EntryIndexDeps,
  what: 'entry' | 'node',
  source: Pick<EventLog, 'events' | 'newestEvent'>,
  image: Image,
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
  const takeUp = async (after: number): Promise<void> => {
    for (const key of cursor.advance(await source.events(after), clock.steady())) due.add(key);
    await refreshDue();
  };
  return {
    async load() {
      // Events first: what happens during the load is then seen again, not missed.
      const oldest = oldestOfInterest(await source.newestEvent());
      cursor.start(await source.events(oldest), clock.steady());
      await image.load();
    },
    changed: (keys) =>
      guarded(async () => {
        for (const key of keys) due.add(key);
        await refreshDue();
      }),
    poll: (full) =>
      guarded(async () => {
        await takeUp(cursor.after);
        if (full) await image.load();
      }),
    catchUp: () => guarded(() => takeUp(cursor.newest)),
  };
}
