import { defineCommand } from '../../common/cli/command.ts';
import { text } from '../../common/cli/flags.ts';
import { agentService } from '../../common/rpc/services.ts';
import { commandFailure, callFailure } from '../failure.ts';
import { printReply, replyJson } from '../reply.ts';
import { agentBlock, agentSelectors } from './agent-print.ts';
import { withServer } from './connection.ts';
import { replyFlags } from './flags.ts';
import { idFromFlag } from './request.ts';

export const agentShow = defineCommand({
  name: 'agent show',
  synopsis: 'Shows the details of an attested agent given its SPIFFE ID',
  flags: { ...replyFlags, spiffeID: text('', 'SPIFFE ID of the agent') },
  async run(flags, io) {
    if (flags.spiffeID === '') throw commandFailure('a SPIFFE ID is required');
    const id = idFromFlag(flags.spiffeID);
    const agent = await withServer(flags, io.env, (server) =>
      server.call(agentService(), 'GetAgent', { id }).catch((error: unknown) => {
        throw callFailure('', error);
      }),
    );
    printReply(
      io,
      flags.output,
      () => replyJson(agentService(), 'GetAgent', agent),
      () => {
        io.out(`Found an attested agent given its SPIFFE ID\n\n${agentBlock(agent)}${agentSelectors(agent)}`);
      },
    );
    return 0;
  },
});
