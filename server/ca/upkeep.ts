import type { Clock } from '../../common/clock.ts';
import { messageOf } from '../../common/errors.ts';
import { every } from '../../common/every.ts';
import type { Task } from '../../common/lifecycle.ts';
import type { Logger } from '../../common/log/logger.ts';
import type { BundleStore, JournalStore } from '../../plugins/datastore/sql/contract.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { pruneJournals } from './journal/journal.ts';

/** What is kept in order, and by which clock. */
export interface UpkeepDeps {
  readonly trustDomain: TrustDomain;
  readonly clock: Clock;
  readonly log: Logger;
  readonly bundles: Pick<BundleStore, 'prune'>;
  readonly journals: JournalStore;
}

const HOUR = 3_600_000;
const BUNDLE_INTERVAL_MS = 6 * HOUR;
const JOURNAL_INTERVAL_MS = 8 * HOUR;
/** How long what expired is kept all the same, in case clocks differ or a backup comes back. */
const BUNDLE_GRACE_MS = 24 * HOUR;
const JOURNAL_GRACE_MS = 14 * 24 * HOUR;

/** Take out of the bundle the authorities, and out of the store the journals, that expired long ago. */
export function upkeepTasks({ bundles, clock, journals, log, trustDomain }: UpkeepDeps): Record<string, Task> {
  const secondsBefore = (ms: number): number => Math.floor((clock.now() - ms) / 1000);
  const pruneBundle = async (): Promise<void> => {
    if (await bundles.prune(trustDomain, secondsBefore(BUNDLE_GRACE_MS))) {
      log.debug('Expired certificates were successfully pruned from bundle');
    }
  };
  return {
    'bundle pruning': (signal) =>
      every(BUNDLE_INTERVAL_MS, clock, signal, logging(pruneBundle, 'Could not prune CA certificates', log)),
    'journal pruning': (signal) =>
      every(
        JOURNAL_INTERVAL_MS,
        clock,
        signal,
        logging(
          () => pruneJournals({ journals, log }, secondsBefore(JOURNAL_GRACE_MS)),
          'Could not prune CA journals',
          log,
        ),
      ),
  };
}

/** Nothing breaks when pruning fails; it is tried again next time. */
function logging(work: () => Promise<void>, message: string, log: Logger): () => Promise<void> {
  return async () => {
    try {
      await work();
    } catch (error) {
      log.error(message, { error: messageOf(error) });
    }
  };
}
