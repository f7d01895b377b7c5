import { defineCommand } from '../../common/cli/command.ts';
import { bool } from '../../common/cli/flags.ts';
import { healthService } from '../../common/rpc/services.ts';
import { commandFailure, callText } from '../failure.ts';
import { withServer } from './connection.ts';
import { connectionFlags } from './flags.ts';

export const healthcheck = defineCommand({
  name: 'healthcheck',
  synopsis: 'Determines server health status',
  flags: {
    ...connectionFlags,
    shallow: bool('Accepted for compatibility; changes nothing'),
    verbose: bool('Says what is being done and why it failed'),
  },
  async run(flags, io) {
    if (flags.verbose) io.out('Checking server health...\n');
    const reply = await withServer(flags, io.env, (server) =>
      server.call(healthService(), 'Check', {}).catch((error: unknown) => {
        if (flags.verbose) io.err(`Failed to check health: ${callText(error)}\n`);
        throw commandFailure('server is unhealthy: unable to determine health');
      }),
    );
    if (reply.status !== 'SERVING')
      throw commandFailure(`server is unhealthy: server returned status "${reply.status}"`);
    io.out('Server is healthy.\n');
    return 0;
  },
});
