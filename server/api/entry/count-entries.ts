import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { EntryStore } from '../../../plugins/datastore/sql/contract.ts';
import type { CountEntriesRequest__Output } from '../../../proto/gen/spire/api/server/entry/v1/CountEntriesRequest.ts';
import type { CountEntriesResponse } from '../../../proto/gen/spire/api/server/entry/v1/CountEntriesResponse.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import { stateOf } from '../call-state.ts';
import { workOrRefuse } from '../refuse.ts';
import { entryFilterFields, entryFilterFromProto } from './filter.ts';

/** Counts the entries that a filter selects. */
export function countEntries(deps: {
  readonly trustDomain: TrustDomain;
  readonly entries: Pick<EntryStore, 'count'>;
}): UnaryHandler<CountEntriesRequest__Output, CountEntriesResponse> {
  return async (request, call) => {
    const { audit, log } = stateOf(call);
    audit.add(entryFilterFields(request.filter, deps.trustDomain));
    const { filter } = entryFilterFromProto(request.filter, deps.trustDomain, log);
    return { count: await workOrRefuse(log, 'failed to count entries', deps.entries.count(filter)) };
  };
}
