import type { Logger } from '../../../common/log/logger.ts';
import type { UnaryHandler } from '../../../common/rpc/call.ts';
import { okItemStatus, statusNumber } from '../../../common/rpc/status.ts';
import type { EntryStore } from '../../../plugins/datastore/sql/contract.ts';
import type { BatchCreateEntryRequest__Output } from '../../../proto/gen/spire/api/server/entry/v1/BatchCreateEntryRequest.ts';
import type { BatchCreateEntryResponse } from '../../../proto/gen/spire/api/server/entry/v1/BatchCreateEntryResponse.ts';
import type { Entry } from '../../../proto/gen/spire/api/types/Entry.ts';
import type { Entry__Output } from '../../../proto/gen/spire/api/types/Entry.ts';
import type { EntryMask__Output } from '../../../proto/gen/spire/api/types/EntryMask.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import type { ItemStatus } from '../../../common/rpc/status.ts';
import { stateOf } from '../call-state.ts';
import { entryToProto, newEntryFromProto } from '../convert/entry.ts';
import { codeOf, refuseItem } from '../refuse.ts';
import { entryFields } from './audit-fields.ts';

interface Deps {
  readonly trustDomain: TrustDomain;
  readonly entries: Pick<EntryStore, 'create'>;
}

interface Result {
  readonly status: ItemStatus;
  readonly entry?: Entry;
}

/** Creates entries one by one, in order. An entry like one that exists is answered with that one. */
export function batchCreateEntry(deps: Deps): UnaryHandler<BatchCreateEntryRequest__Output, BatchCreateEntryResponse> {
  return async ({ entries, output_mask: mask }, call) => {
    const { audit, log } = stateOf(call);
    const results: Result[] = [];
    for (const message of entries) {
      const result = await createOne(deps, message, mask, log);
      results.push(result);
      audit.item(result.status, entryFields(message, null));
    }
    return { results };
  };
}

async function createOne(
  { entries, trustDomain }: Deps,
  message: Entry__Output,
  mask: EntryMask__Output | null,
  log: Logger,
): Promise<Result> {
  let wanted;
  try {
    wanted = newEntryFromProto(message, trustDomain);
  } catch (error) {
    return { status: refuseItem(log, 'invalid-argument', 'failed to convert entry', error) };
  }
  try {
    const { entry, existing } = await entries.create(wanted);
    const status = existing
      ? { code: statusNumber('already-exists'), message: 'similar entry already exists' }
      : okItemStatus;
    return { status, entry: entryToProto(entry, mask) };
  } catch (error) {
    const about = log.with({ spiffe_id: wanted.spiffeId });
    return { status: refuseItem(about, codeOf(error), 'failed to create entry', error) };
  }
}
