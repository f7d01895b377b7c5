import { defineCommand } from '../../common/cli/command.ts';
import { plural } from '../../common/cli/format.ts';
import { bundleService } from '../../common/rpc/services.ts';
import { callFailure } from '../failure.ts';
import { printReply, replyJson } from '../reply.ts';
import { withServer } from './connection.ts';
import { replyFlags } from './flags.ts';

export const bundleCount = defineCommand({
  name: 'bundle count',
  synopsis: 'Count bundles',
  flags: replyFlags,
  async run(flags, io) {
    const reply = await withServer(flags, io.env, (server) =>
      server.call(bundleService(), 'CountBundles', {}).catch((error: unknown) => {
        throw callFailure('', error);
      }),
    );
    printReply(
      io,
      flags.output,
      () => replyJson(bundleService(), 'CountBundles', reply),
      () => io.out(`${plural(reply.count, 'bundle', 'bundles')}\n`),
    );
    return 0;
  },
});
