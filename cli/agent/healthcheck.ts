import { defineCommand } from '../../common/cli/command.ts';
import { bool } from '../../common/cli/flags.ts';
import { healthService } from '../../common/rpc/services.ts';
import { commandFailure, callText } from '../failure.ts';
import { withAgent } from './connection.ts';
import { connectionFlags } from './flags.ts';

export const healthcheck = defineCommand({
  name: 'healthcheck',
  synopsis: 'Determines agent health status',
  bareErrors: true,
  flags: {
    ...connectionFlags,
    shallow: bool('Accepted for compatibility; changes nothing'),
    verbose: bool('Says what is being done and why it failed'),
  },
  async run(flags, io) {
    if (flags.verbose) io.out('Checking agent health...\n');
    const reply = await withAgent(flags, io.env, (agent) =>
      agent.call(healthService(), 'Check', {}).catch((error: unknown) => {
        if (flags.verbose) io.err(`Failed to check health: ${callText(error)}\n`);
        throw commandFailure('Agent is unhealthy: unable to determine health');
      }),
    );
    if (reply.status !== 'SERVING') throw commandFailure(`Agent is unhealthy: agent returned status "${reply.status}"`);
    io.out('Agent is healthy.\n');
    return 0;
  },
});
