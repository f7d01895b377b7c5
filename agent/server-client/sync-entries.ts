import { FinialError, messageOf } from '../../common/errors.ts';
import type { Logger } from '../../common/log/logger.ts';
import type { BidiCall } from '../../common/rpc/client.ts';
import type { SyncAuthorizedEntriesRequest } from '../../proto/gen/spire/api/server/entry/v1/SyncAuthorizedEntriesRequest.ts';
import type { SyncAuthorizedEntriesResponse__Output } from '../../proto/gen/spire/api/server/entry/v1/SyncAuthorizedEntriesResponse.ts';
import type { Entry__Output } from '../../proto/gen/spire/api/types/Entry.ts';
import { entryFromProto } from './convert.ts';
import type { AgentEntry } from './contract.ts';

type SyncCall = BidiCall<SyncAuthorizedEntriesRequest, SyncAuthorizedEntriesResponse__Output>;

/** What an agent needs of an entry. */
const MASK = {
  spiffe_id: true,
  selectors: true,
  federates_with: true,
  admin: true,
  downstream: true,
  revision_number: true,
  store_svid: true,
  hint: true,
  created_at: true,
  additional_attributes: true,
};

/**
 * Runs one SyncAuthorizedEntries dialogue (server.md 3.4, agent.md 2.7): a server with few entries sends them all at
 * once, any other sends revisions first and then the entries that are asked for.
 */
export async function syncEntries(
  call: SyncCall,
  held: ReadonlyMap<string, AgentEntry>,
  log: Logger,
): Promise<ReadonlyMap<string, AgentEntry>> {
  const entries = new Map<string, AgentEntry>();
  const responses = call.responses[Symbol.asyncIterator]();
  const next = async (): Promise<SyncAuthorizedEntriesResponse__Output> => {
    const { done, value } = await responses.next();
    // Taking an early end for the end of the list would take identities away from workloads.
    if (done === true) throw new FinialError('unavailable', 'the server ended the synchronisation of entries early');
    return value;
  };
  const pages = async function* (): AsyncGenerator<SyncAuthorizedEntriesResponse__Output> {
    for (let more = true; more; ) {
      const page = await next();
      yield page;
      more = page.more;
    }
  };
  try {
    await call.send({ output_mask: MASK });
    const wanted: string[] = [];
    let pageSize = 0;
    for await (const page of pages()) {
      // The first page of revisions tells how large pages are; a server with few entries sends no revisions at all.
      pageSize ||= page.entry_revisions.length;
      keep(entries, page.entries, held, log);
      for (const { id, revision_number, created_at } of page.entry_revisions) {
        const own = held.get(id);
        if (own !== undefined && isCurrent(own, revision_number, created_at)) entries.set(id, own);
        else wanted.push(id);
      }
    }
    wanted.sort();
    for (let at = 0; at < wanted.length; at += pageSize) {
      await call.send({ ids: wanted.slice(at, at + pageSize) });
      for await (const page of pages()) keep(entries, page.entries, held, log);
    }
    call.end();
    return entries;
  } finally {
    // Ends the call whatever happened; after a dialogue that went well there is nothing left to cancel.
    await responses.return?.();
  }
}

/** The creation time tells an entry that was deleted and made again with the same ID; older servers do not send it. */
function isCurrent(own: AgentEntry, revision: string, createdAt: string): boolean {
  return own.revisionNumber === Number(revision) && (createdAt === '0' || own.createdAt === Number(createdAt));
}

function keep(
  entries: Map<string, AgentEntry>,
  received: readonly Entry__Output[],
  held: ReadonlyMap<string, AgentEntry>,
  log: Logger,
): void {
  for (const message of received) {
    const own = held.get(message.id);
    if (own !== undefined && isCurrent(own, message.revision_number, message.created_at)) {
      entries.set(message.id, own);
      continue;
    }
    try {
      entries.set(message.id, entryFromProto(message));
    } catch (error) {
      log.warn('Received malformed entry from SPIRE server; are you running mismatched agent and server versions?', {
        entry_id: message.id,
        error: messageOf(error),
      });
    }
  }
}
