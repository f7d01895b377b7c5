import { defineCommand } from '../../common/cli/command.ts';
import { plural } from '../../common/cli/format.ts';
import { agentService } from '../../common/rpc/services.ts';
import type { Agent__Output } from '../../proto/gen/spire/api/types/Agent.ts';
import { callFailure } from '../failure.ts';
import { printReply, replyJson } from '../reply.ts';
import { agentFilter } from './agent-filter.ts';
import { agentBlock } from './agent-print.ts';
import { withServer } from './connection.ts';
import { agentFilterFlags, replyFlags } from './flags.ts';

const PAGE_SIZE = 1000;

export const agentList = defineCommand({
  name: 'agent list',
  synopsis: 'Lists attested agents and their SPIFFE IDs',
  flags: { ...replyFlags, ...agentFilterFlags },
  async run(flags, io) {
    const filter = agentFilter(flags);
    const agents: Agent__Output[] = [];
    await withServer(flags, io.env, async (server) => {
      let token = '';
      do {
        const request = { filter, page_size: PAGE_SIZE, page_token: token };
        const page = await server.call(agentService(), 'ListAgents', request).catch((error: unknown) => {
          throw callFailure('', error);
        });
        agents.push(...page.agents);
        token = page.next_page_token;
      } while (token !== '');
    });
    printReply(
      io,
      flags.output,
      () => replyJson(agentService(), 'ListAgents', { agents, next_page_token: '' }),
      () => {
        if (agents.length === 0) io.out('No attested agents found\n');
        else
          io.out(
            `Found ${plural(agents.length, 'attested agent', 'attested agents')}:\n\n${agents.map(agentBlock).join('')}`,
          );
      },
    );
    return 0;
  },
});
