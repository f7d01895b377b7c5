import type { Logger } from '../../../common/log/logger.ts';
import type { UnaryHandler } from '../../../common/rpc/call.ts';
import { type ItemStatus, okItemStatus } from '../../../common/rpc/status.ts';
import type { EntryStore } from '../../../plugins/datastore/sql/contract.ts';
import type { BatchUpdateEntryRequest__Output } from '../../../proto/gen/spire/api/server/entry/v1/BatchUpdateEntryRequest.ts';
import type { BatchUpdateEntryResponse } from '../../../proto/gen/spire/api/server/entry/v1/BatchUpdateEntryResponse.ts';
import type { Entry, Entry__Output } from '../../../proto/gen/spire/api/types/Entry.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import { stateOf } from '../call-state.ts';
import { entryChangeFromProto, entryToProto } from '../convert/entry.ts';
import { codeOf, refuseItem } from '../refuse.ts';
import { entryFields } from './audit-fields.ts';

interface Deps {
  readonly trustDomain: TrustDomain;
  readonly entries: Pick<EntryStore, 'update'>;
}

interface Result {
  readonly status: ItemStatus;
  readonly entry?: Entry;
}

/** Changes the fields of the input mask, or all of them, entry by entry. */
export function batchUpdateEntry(deps: Deps): UnaryHandler<BatchUpdateEntryRequest__Output, BatchUpdateEntryResponse> {
  return async (request, call) => {
    const { audit, log } = stateOf(call);
    const results: Result[] = [];
    for (const message of request.entries) {
      const result = await updateOne(deps, message, request, log.with({ entry_id: message.id }));
      results.push(result);
      audit.item(result.status, entryFields(message, request.input_mask));
    }
    return { results };
  };
}

async function updateOne(
  { entries, trustDomain }: Deps,
  message: Entry__Output,
  { input_mask: inputMask, output_mask: outputMask }: BatchUpdateEntryRequest__Output,
  log: Logger,
): Promise<Result> {
  let wanted;
  try {
    wanted = entryChangeFromProto(message, inputMask, trustDomain);
  } catch (error) {
    return { status: refuseItem(log, 'invalid-argument', 'failed to convert entry', error) };
  }
  try {
    const entry = await entries.update(wanted.change, wanted.fields);
    return { status: okItemStatus, entry: entryToProto(entry, outputMask) };
  } catch (error) {
    return { status: refuseItem(log, codeOf(error), 'failed to update entry', error) };
  }
}
