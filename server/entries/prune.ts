import { type Clock, unixSeconds } from '../../common/clock.ts';
import { every } from '../../common/every.ts';
import type { Task } from '../../common/lifecycle.ts';
import type { Logger } from '../../common/log/logger.ts';
import type { EntryStore } from '../../plugins/datastore/sql/contract.ts';

const INTERVAL_MS = 5 * 60_000;

/** Deletes entries that have expired. Until then they are still served, as in the reference. */
export function pruneEntries(deps: {
  readonly entries: Pick<EntryStore, 'prune'>;
  readonly clock: Clock;
  readonly log: Logger;
}): Task {
  const { clock, entries, log } = deps;
  return (signal) =>
    every(INTERVAL_MS, clock, signal, async () => {
      try {
        const pruned = await entries.prune(unixSeconds(clock));
        for (const entry of pruned) {
          log.info('Pruned an expired registration', {
            entry_id: entry.id,
            spiffe_id: entry.spiffeId,
            parent_id: entry.parentId,
          });
        }
      } catch (error) {
        log.error('Failed pruning registration entries', { error });
      }
    });
}
