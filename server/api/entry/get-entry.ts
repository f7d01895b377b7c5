import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { EntryStore } from '../../../plugins/datastore/sql/contract.ts';
import type { GetEntryRequest__Output } from '../../../proto/gen/spire/api/server/entry/v1/GetEntryRequest.ts';
import type { Entry } from '../../../proto/gen/spire/api/types/Entry.ts';
import { stateOf } from '../call-state.ts';
import { entryToProto } from '../convert/entry.ts';
import { refuse, workOrRefuse } from '../refuse.ts';

/** Shows one entry. */
export function getEntry(deps: {
  readonly entries: Pick<EntryStore, 'get'>;
}): UnaryHandler<GetEntryRequest__Output, Entry> {
  return async ({ id, output_mask: mask }, call) => {
    const { audit, log } = stateOf(call);
    if (id === '') throw refuse(log, 'invalid-argument', 'missing ID');
    audit.add({ entry_id: id });
    const about = log.with({ entry_id: id });
    const entry = await workOrRefuse(about, 'failed to fetch entry', deps.entries.get(id));
    if (entry === undefined) throw refuse(about, 'not-found', 'entry not found');
    return entryToProto(entry, mask);
  };
}
