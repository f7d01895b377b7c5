import { type Clock, unixSeconds } from '../../common/clock.ts';
import { every } from '../../common/every.ts';
import type { Task } from '../../common/lifecycle.ts';
import type { Logger } from '../../common/log/logger.ts';
import type { EntryStore, EventLog } from '../../plugins/datastore/sql/contract.ts';

const INTERVAL_MS = 5 * 60_000;

/** Deletes entries that have expired; the datastore tells the log of each. Until then they are served, as in the reference. */
export function pruneEntries(deps: {
  readonly entries: Pick<EntryStore, 'prune'>;
  readonly clock: Clock;
  readonly log: Logger;
}): Task {
  const { clock, entries, log } = deps;
  return (signal) =>
    every(INTERVAL_MS, clock, signal, async () => {
      try {
        await entries.prune(unixSeconds(clock));
      } catch (error) {
        log.error('Failed pruning registration entries', { error });
      }
    });
}

/** A configuration in the field may say nanoseconds. */
const LEAST_EVENTS_INTERVAL_MS = 1000;

/**
 * Deletes events older than `olderThan` milliseconds, every half of that, as the reference does. Other servers must have
 * read them by then; what one missed it learns from its next full load.
 */
export function pruneEvents(deps: {
  readonly entries: Pick<EventLog, 'pruneEvents'>;
  readonly nodes: Pick<EventLog, 'pruneEvents'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly olderThan: number;
}): Task {
  const { clock, entries, log, nodes, olderThan } = deps;
  const prune = async (what: 'entry' | 'node', events: Pick<EventLog, 'pruneEvents'>): Promise<void> => {
    try {
      const count = await events.pruneEvents(clock.now() - olderThan);
      if (count > 0) log.debug('Pruned events', { what, count });
    } catch (error) {
      log.error('Failed to prune events', { what, error });
    }
  };
  return (signal) =>
    every(Math.max(LEAST_EVENTS_INTERVAL_MS, olderThan / 2), clock, signal, async () => {
      await prune('entry', entries);
      await prune('node', nodes);
    });
}
