import { type Clock, unixSeconds } from '../../common/clock.ts';
import { hasCode } from '../../common/errors.ts';
import { every } from '../../common/every.ts';
import type { Task } from '../../common/lifecycle.ts';
import type { Logger } from '../../common/log/logger.ts';
import type { NodeStore } from '../../plugins/datastore/sql/contract.ts';
import { isBanned } from '../../spiffe/registration/node.ts';

/** Which nodes go, and when. */
export interface PruneNodesDeps {
  readonly nodes: Pick<NodeStore, 'list' | 'get' | 'delete'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Seconds past the expiry of the agent's SVID. */
  readonly expiredFor: number;
  /** The most nodes deleted in one pass. */
  readonly batchSize: number;
  /** Also nodes that trusted on first use, whose evidence may then be used again. */
  readonly includeNonReattestable: boolean;
}

const INTERVAL_MS = 60 * 60_000;
const JITTER_MS = 15 * 60_000;

/** Deletes nodes whose agents went away long ago. Banned ones stay, or they could attest again. */
export function pruneNodes(deps: PruneNodesDeps): Task {
  const interval = Math.trunc((INTERVAL_MS + (2 * deps.random() - 1) * JITTER_MS) / 1000) * 1000;
  return (signal) =>
    every(interval, deps.clock, signal, async () => {
      try {
        await pruneOnce(deps);
      } catch (error) {
        deps.log.error('Failed pruning attested nodes', { error });
      }
    });
}

async function pruneOnce({ nodes, clock, log, ...rule }: PruneNodesDeps): Promise<void> {
  const expiresBefore = unixSeconds(clock) - rule.expiredFor;
  const filter = { expiresBefore, banned: false, ...(rule.includeNonReattestable ? {} : { canReattest: true }) };
  const page = { size: rule.batchSize, token: '' };
  const found = await nodes.list({ filter, page, withSelectors: false });
  for (const { id } of found.nodes) {
    // The node may have attested again since the listing.
    const node = await nodes.get(id);
    if (node === undefined || node.expiresAt >= expiresBefore || isBanned(node)) continue;
    try {
      await nodes.delete(id);
      log.info('Pruned attested node', { spiffe_id: id });
    } catch (error) {
      if (!hasCode(error, 'not-found')) throw error;
    }
  }
}
