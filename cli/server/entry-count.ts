import { defineCommand } from '../../common/cli/command.ts';
import { plural } from '../../common/cli/format.ts';
import { entryService } from '../../common/rpc/services.ts';
import { callFailure } from '../failure.ts';
import { printReply, replyJson } from '../reply.ts';
import { withServer } from './connection.ts';
import { entryFilter } from './entry-filter.ts';
import { entryFilterFlags, replyFlags } from './flags.ts';

export const entryCount = defineCommand({
  name: 'entry count',
  synopsis: 'Count registration entries',
  flags: { ...replyFlags, ...entryFilterFlags },
  async run(flags, io) {
    const filter = entryFilter(flags);
    const reply = await withServer(flags, io.env, (server) =>
      server.call(entryService(), 'CountEntries', { filter }).catch((error: unknown) => {
        throw callFailure('', error);
      }),
    );
    printReply(
      io,
      flags.output,
      () => replyJson(entryService(), 'CountEntries', reply),
      () => {
        io.out(`${plural(reply.count, 'registration entry', 'registration entries')}\n`);
      },
    );
    return 0;
  },
});
