import { defineCommand } from '../../common/cli/command.ts';
import { int, text } from '../../common/cli/flags.ts';
import { agentService } from '../../common/rpc/services.ts';
import { callFailure } from '../failure.ts';
import { printReply, replyJson } from '../reply.ts';
import { withServer } from './connection.ts';
import { replyFlags } from './flags.ts';
import { idFromFlag, int32FromFlag } from './request.ts';

export const tokenGenerate = defineCommand({
  name: 'token generate',
  synopsis: 'Generates a join token',
  flags: {
    ...replyFlags,
    spiffeID: text('', 'A further SPIFFE ID for the agent that uses the token, beside its own'),
    ttl: int(600, 'Seconds within which the token must be used'),
  },
  async run(flags, io) {
    const agent_id = flags.spiffeID === '' ? null : idFromFlag(flags.spiffeID);
    const ttl = int32FromFlag(flags.ttl, 'TTL');
    const token = await withServer(flags, io.env, (server) =>
      server.call(agentService(), 'CreateJoinToken', { ttl, agent_id }).catch((error: unknown) => {
        throw callFailure('', error);
      }),
    );
    printReply(
      io,
      flags.output,
      () => replyJson(agentService(), 'CreateJoinToken', token),
      () => {
        io.out(`Token: ${token.value}\n`);
        if (agent_id === null) io.out('Warning: Missing SPIFFE ID.\n');
      },
    );
    return 0;
  },
});
