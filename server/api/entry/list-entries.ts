import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { EntryStore } from '../../../plugins/datastore/sql/contract.ts';
import type { ListEntriesRequest__Output } from '../../../proto/gen/spire/api/server/entry/v1/ListEntriesRequest.ts';
import type { ListEntriesResponse } from '../../../proto/gen/spire/api/server/entry/v1/ListEntriesResponse.ts';
import type { TrustDomain } from '../../../spiffe/trust-domain.ts';
import { stateOf } from '../call-state.ts';
import { entryToProto } from '../convert/entry.ts';
import { pageFromProto } from '../convert/filters.ts';
import { workOrRefuse } from '../refuse.ts';
import { entryFilterFields, entryFilterFromProto } from './filter.ts';

/** Lists the entries that a filter selects, page by page. */
export function listEntries(deps: {
  readonly trustDomain: TrustDomain;
  readonly entries: Pick<EntryStore, 'list'>;
}): UnaryHandler<ListEntriesRequest__Output, ListEntriesResponse> {
  return async (request, call) => {
    const { audit, log } = stateOf(call);
    audit.add(entryFilterFields(request.filter, deps.trustDomain));
    const query = { ...entryFilterFromProto(request.filter, deps.trustDomain, log), ...pageFromProto(request) };
    const { entries, nextToken } = await workOrRefuse(log, 'failed to list entries', deps.entries.list(query));
    return { entries: entries.map((entry) => entryToProto(entry, request.output_mask)), next_page_token: nextToken };
  };
}
