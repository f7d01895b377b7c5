import type { UnaryHandler } from '../../../common/rpc/call.ts';
import type { GetAuthorizedEntriesRequest__Output } from '../../../proto/gen/spire/api/server/entry/v1/GetAuthorizedEntriesRequest.ts';
import type { GetAuthorizedEntriesResponse } from '../../../proto/gen/spire/api/server/entry/v1/GetAuthorizedEntriesResponse.ts';
import type { EntryIndex } from '../../entries/entry-index.ts';
import { callerIdOf, stateOf } from '../call-state.ts';
import type { EntryEncoder } from './encoded-entries.ts';

/** All entries that the calling agent may have, whatever it claims to be. */
export function getAuthorizedEntries(deps: {
  readonly index: Pick<EntryIndex, 'authorized'>;
  /** For field 1 of the response. */
  readonly encoder: EntryEncoder;
}): UnaryHandler<GetAuthorizedEntriesRequest__Output, GetAuthorizedEntriesResponse> {
  return async ({ output_mask: mask }, call) => {
    const entries = deps.index.authorized(callerIdOf(stateOf(call)));
    return Buffer.concat(entries.map((entry) => deps.encoder.encode(entry, mask)));
  };
}
