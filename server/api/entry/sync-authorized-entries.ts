import { FinialError } from '../../../common/errors.ts';
import type { BidiHandler } from '../../../common/rpc/call.ts';
import type { SyncAuthorizedEntriesRequest__Output } from '../../../proto/gen/spire/api/server/entry/v1/SyncAuthorizedEntriesRequest.ts';
import type { SyncAuthorizedEntriesResponse } from '../../../proto/gen/spire/api/server/entry/v1/SyncAuthorizedEntriesResponse.ts';
import type { EntryMask__Output } from '../../../proto/gen/spire/api/types/EntryMask.ts';
import type { Entry } from '../../../spiffe/registration/entry.ts';
import type { EntryIndex } from '../../entries/entry-index.ts';
import { callerIdOf, stateOf } from '../call-state.ts';
import { refuse } from '../refuse.ts';
import type { EntryEncoder, RevisionEncoder } from './encoded-entries.ts';

/** Entries, or revisions of entries, in one message. */
const PAGE = 500;

/** `more: true` of the response: field 3, a varint. Its absence means false. */
const MORE = Buffer.from([3 * 8, 1]);

/**
 * Lets an agent fetch only the entries it lacks: few entries are sent at once, of many only the revisions, and then those
 * it asks for by ID. What the agent may have is settled when the stream begins.
 */
export function syncAuthorizedEntries(deps: {
  readonly index: Pick<EntryIndex, 'authorized'>;
  /** For field 2 of the response. */
  readonly encoder: EntryEncoder;
  /** For field 1 of the response. */
  readonly revisions: RevisionEncoder;
}): BidiHandler<SyncAuthorizedEntriesRequest__Output, SyncAuthorizedEntriesResponse> {
  return async function* (requests, call) {
    const state = stateOf(call);
    const entries = deps.index.authorized(callerIdOf(state));
    const incoming = requests[Symbol.asyncIterator]();
    const first = await incoming.next();
    if (first.done === true) throw new FinialError('invalid-argument', 'no request was sent');
    const { ids, output_mask: mask } = first.value;
    const wrong = whyRefused(ids, mask);
    if (wrong !== undefined) throw refuse(state.log, 'invalid-argument', wrong);
    const encode = (entry: Entry): Buffer => deps.encoder.encode(entry, mask);

    if (entries.length <= PAGE) {
      yield Buffer.concat(entries.map(encode));
      return;
    }
    const revision = (entry: Entry): Buffer => deps.revisions.encode(entry);
    for (const [page, more] of pagesOf(entries)) yield Buffer.concat([...page.map(revision), ...(more ? [MORE] : [])]);
    // Most agents ask for nothing more.
    let byId: Map<string, Entry> | undefined;
    for (let next = await incoming.next(); next.done !== true; next = await incoming.next()) {
      const known = (byId ??= new Map(entries.map((entry) => [entry.id, entry])));
      const wanted = next.value.ids.toSorted().flatMap((id) => known.get(id) ?? []);
      for (const [page, more] of pagesOf(wanted)) yield Buffer.concat([...page.map(encode), ...(more ? [MORE] : [])]);
    }
  };
}

function whyRefused(ids: readonly string[], mask: EntryMask__Output | null): string | undefined {
  if (ids.length > 0) return 'specifying IDs on initial request is not supported';
  // The agent could not tell which of its entries are stale.
  return mask !== null && !mask.revision_number ? 'revision number cannot be masked' : undefined;
}

/** Full pages and the rest, each with whether another follows. Always at least one, which may be empty. */
function* pagesOf(entries: readonly Entry[]): Generator<[page: readonly Entry[], more: boolean]> {
  let from = 0;
  do {
    yield [entries.slice(from, from + PAGE), from + PAGE < entries.length];
    from += PAGE;
  } while (from < entries.length);
}
