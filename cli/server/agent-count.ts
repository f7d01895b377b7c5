import { defineCommand } from '../../common/cli/command.ts';
import { plural } from '../../common/cli/format.ts';
import { agentService } from '../../common/rpc/services.ts';
import { callFailure } from '../failure.ts';
import { printReply, replyJson } from '../reply.ts';
import { agentFilter } from './agent-filter.ts';
import { withServer } from './connection.ts';
import { agentFilterFlags, replyFlags } from './flags.ts';

export const agentCount = defineCommand({
  name: 'agent count',
  synopsis: 'Count attested agents',
  flags: { ...replyFlags, ...agentFilterFlags },
  async run(flags, io) {
    const filter = agentFilter(flags);
    const reply = await withServer(flags, io.env, (server) =>
      server.call(agentService(), 'CountAgents', { filter }).catch((error: unknown) => {
        throw callFailure('', error);
      }),
    );
    printReply(
      io,
      flags.output,
      () => replyJson(agentService(), 'CountAgents', reply),
      () => {
        io.out(`${plural(reply.count, 'attested agent', 'attested agents')}\n`);
      },
    );
    return 0;
  },
});
