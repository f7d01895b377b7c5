import { hasCode } from '../../../common/errors.ts';
import type { Logger } from '../../../common/log/logger.ts';
import type { UnaryHandler } from '../../../common/rpc/call.ts';
import { type ItemStatus, okItemStatus } from '../../../common/rpc/status.ts';
import type { EntryStore } from '../../../plugins/datastore/sql/contract.ts';
import type { BatchDeleteEntryRequest__Output } from '../../../proto/gen/spire/api/server/entry/v1/BatchDeleteEntryRequest.ts';
import type { BatchDeleteEntryResponse } from '../../../proto/gen/spire/api/server/entry/v1/BatchDeleteEntryResponse.ts';
import { stateOf } from '../call-state.ts';
import { refuseItem } from '../refuse.ts';

/** Deletes entries, each for itself. */
export function batchDeleteEntry(deps: {
  readonly entries: Pick<EntryStore, 'delete'>;
}): UnaryHandler<BatchDeleteEntryRequest__Output, BatchDeleteEntryResponse> {
  return async ({ ids }, call) => {
    const { audit, log } = stateOf(call);
    const results: { id: string; status: ItemStatus }[] = [];
    for (const id of ids) {
      const status = await deleteOne(deps.entries, id, log);
      results.push({ id, status });
      audit.item(status, { entry_id: id });
    }
    return { results };
  };
}

async function deleteOne(entries: Pick<EntryStore, 'delete'>, id: string, log: Logger): Promise<ItemStatus> {
  if (id === '') return refuseItem(log, 'invalid-argument', 'missing entry ID');
  const about = log.with({ entry_id: id });
  try {
    await entries.delete(id);
    return okItemStatus;
  } catch (error) {
    if (hasCode(error, 'not-found')) return refuseItem(about, 'not-found', 'entry not found');
    return refuseItem(about, 'internal', 'failed to delete entry', error);
  }
}
