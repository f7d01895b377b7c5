import { defineCommand } from '../../common/cli/command.ts';
import type { RpcChannel } from '../../common/rpc/client.ts';
import { entryService } from '../../common/rpc/services.ts';
import type { Entry } from '../../proto/gen/spire/api/types/Entry.ts';
import { commandFailure, callFailure } from '../failure.ts';
import { printReply, replyJson } from '../reply.ts';
import { withServer } from './connection.ts';
import { readAll } from '../stdin.ts';
import { entriesFromFile } from './entry-data.ts';
import {
  entryFromFlags,
  type EntryValues,
  printEntryResults,
  requireEntryFlags,
  withRequested,
} from './entry-result.ts';
import { entryFlags, replyFlags } from './flags.ts';
import { idFromFlag } from './request.ts';

export const entryUpdate = defineCommand({
  name: 'entry update',
  synopsis: 'Updates registration entries',
  flags: { ...replyFlags, ...entryFlags },
  async run(flags, io, { given }) {
    const fromFile = flags.data !== '';
    const requested = fromFile ? await entriesFromFile(flags.data, () => readAll(io.stdin)) : [fromFlags(flags)];
    const results = await withServer(flags, io.env, async (server) => {
      const entries = fromFile ? requested : await withAttributes(server, requested, given);
      const reply = await server.call(entryService(), 'BatchUpdateEntry', { entries }).catch((error: unknown) => {
        throw callFailure('', error);
      });
      return withRequested(reply.results, entries);
    });
    printReply(
      io,
      flags.output,
      () => replyJson(entryService(), 'BatchUpdateEntry', { results }),
      () => printEntryResults(io, results, 'update'),
    );
    return 0;
  },
});

function fromFlags(flags: EntryValues): Entry {
  if (flags.entryID === '') throw commandFailure('entry ID is required');
  if (flags.selector.length === 0) throw commandFailure('at least one selector is required');
  if (flags.parentID === '') throw commandFailure('a parent ID is required');
  requireEntryFlags(flags);
  return entryFromFlags(flags, idFromFlag(flags.spiffeID), idFromFlag(flags.parentID));
}

/**
 * An update replaces the whole entry. Only the two attribute flags are merged into what the server has, and only when one
 * of them is given; mere presence sets them (server.md 12, item 34).
 */
async function withAttributes(
  server: RpcChannel,
  entries: readonly Entry[],
  given: ReadonlySet<string>,
): Promise<readonly Entry[]> {
  const prefetch = given.has('disableX509SVIDPrefetch');
  const jti = given.has('jwtSVIDIncludeJTI');
  if (!prefetch && !jti) return entries;
  return Promise.all(
    entries.map(async (entry) => {
      const existing = await server.call(entryService(), 'GetEntry', { id: entry.id ?? '' }).catch((error: unknown) => {
        throw callFailure('failed to fetch existing entry to merge additional attributes', error);
      });
      const before = existing.additional_attributes;
      return {
        ...entry,
        additional_attributes: {
          disable_x509_svid_prefetch: prefetch || (before?.disable_x509_svid_prefetch ?? false),
          jwt_svid_include_jti: jti || (before?.jwt_svid_include_jti ?? false),
        },
      };
    }),
  );
}
