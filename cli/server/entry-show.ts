import { defineCommand } from '../../common/cli/command.ts';
import { plural } from '../../common/cli/format.ts';
import { text } from '../../common/cli/flags.ts';
import type { RpcChannel } from '../../common/rpc/client.ts';
import { entryService } from '../../common/rpc/services.ts';
import type { Entry__Output } from '../../proto/gen/spire/api/types/Entry.ts';
import { commandFailure, callFailure } from '../failure.ts';
import { printReply, replyJson } from '../reply.ts';
import { withServer } from './connection.ts';
import { entryFilter, type EntryFilterValues } from './entry-filter.ts';
import { compareEntries, entryBlock, sortedSelectors } from './entry-print.ts';
import { entryFilterFlags, replyFlags } from './flags.ts';

const PAGE_SIZE = 500;

export const entryShow = defineCommand({
  name: 'entry show',
  synopsis: 'Displays configured registration entries',
  flags: { ...replyFlags, ...entryFilterFlags, entryID: text('', 'Only the entry with this ID') },
  async run(flags, io) {
    const alone = flags.parentID === '' && flags.spiffeID === '' && flags.selector.length === 0;
    if (flags.entryID !== '' && !alone) throw commandFailure("the -entryID flag can't be combined with others");
    const entries = await withServer(flags, io.env, (server) =>
      flags.entryID === '' ? listEntries(server, flags) : getEntry(server, flags.entryID),
    );
    const sorted = entries.map(sortedSelectors).sort(compareEntries);
    printReply(
      io,
      flags.output,
      () => replyJson(entryService(), 'ListEntries', { entries: sorted, next_page_token: '' }),
      () => {
        io.out(`Found ${plural(sorted.length, 'entry', 'entries')}\n${sorted.map(entryBlock).join('')}`);
      },
    );
    return 0;
  },
});

async function getEntry(server: RpcChannel, id: string): Promise<Entry__Output[]> {
  try {
    return [await server.call(entryService(), 'GetEntry', { id })];
  } catch (error) {
    throw callFailure(`error fetching entry ID ${id}`, error);
  }
}

async function listEntries(server: RpcChannel, flags: EntryFilterValues): Promise<Entry__Output[]> {
  const filter = entryFilter(flags);
  const entries: Entry__Output[] = [];
  let token = '';
  do {
    const request = { filter, page_size: PAGE_SIZE, page_token: token };
    const page = await server.call(entryService(), 'ListEntries', request).catch((error: unknown) => {
      throw callFailure('error fetching entries', error);
    });
    entries.push(...page.entries);
    token = page.next_page_token;
  } while (token !== '');
  return entries;
}
