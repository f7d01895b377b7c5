import { defineCommand } from '../../common/cli/command.ts';
import { text } from '../../common/cli/flags.ts';
import { agentService } from '../../common/rpc/services.ts';
import { commandFailure, callFailure } from '../failure.ts';
import { printReply } from '../reply.ts';
import { withServer } from './connection.ts';
import { replyFlags } from './flags.ts';
import { idFromFlag } from './request.ts';

export const agentBan = defineCommand({
  name: 'agent ban',
  synopsis: 'Ban an attested agent given its SPIFFE ID',
  flags: {
    ...replyFlags,
    spiffeID: text('', 'SPIFFE ID of the agent, which can not attest again until it is evicted'),
  },
  async run(flags, io) {
    if (flags.spiffeID === '') throw commandFailure('a SPIFFE ID is required');
    const id = idFromFlag(flags.spiffeID);
    await withServer(flags, io.env, (server) =>
      server.call(agentService(), 'BanAgent', { id }).catch((error: unknown) => {
        throw callFailure('', error);
      }),
    );
    printReply(
      io,
      flags.output,
      () => ({}),
      () => io.out('Agent banned successfully\n'),
    );
    return 0;
  },
});
