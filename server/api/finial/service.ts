import type { Clock } from '../../../common/clock.ts';
import type { Logger } from '../../../common/log/logger.ts';
import { implement, type ImplementedService, serverStream } from '../../../common/rpc/service.ts';
import { changesService } from '../../../common/rpc/services.ts';
import type { NodeStore } from '../../../plugins/datastore/sql/contract.ts';
import type { LocalBundle } from '../../bundle/local-bundle.ts';
import type { EntryIndex } from '../../entries/entry-index.ts';
import { changeStreams } from './change-streams.ts';
import { watch } from './watch.ts';

/** What the method below takes. */
export interface ChangesServiceDeps {
  readonly index: Pick<EntryIndex, 'onChange' | 'concerned'>;
  readonly localBundle: Pick<LocalBundle, 'changes'>;
  readonly nodes: Pick<NodeStore, 'get' | 'update'>;
  readonly clock: Clock;
  /** Uniform in [0, 1); spreads agents over time and decides nothing else. */
  readonly jitter: () => number;
  readonly log: Logger;
}

/** Hints to agents that something may have changed. Ours; no server of the reference has it. */
export function changesApi(deps: ChangesServiceDeps): ImplementedService {
  const streams = changeStreams({ ...deps, bundleChanges: deps.localBundle.changes });
  return implement(changesService(), { Watch: serverStream(watch({ ...deps, streams })) });
}
