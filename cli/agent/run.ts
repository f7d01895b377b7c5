import { configureAgentPlugins } from '../../agent/plugins.ts';
import { defineCommand } from '../../common/cli/command.ts';
import { systemClock } from '../../common/clock.ts';
import { createLogging } from '../../common/log/logging.ts';
import { agentBuiltIns } from '../../plugins/builtin.ts';
import { readPluginData } from '../read-plugin-data.ts';
import { restrictUmask, serve } from '../serve.ts';
import { configuration, configurationFlags } from './configuration.ts';

export const run = defineCommand({
  name: 'run',
  synopsis: 'Runs the agent',
  bareErrors: true,
  flags: configurationFlags,
  async run(flags, io) {
    const { config, plugins } = configuration(flags, io.env, (blocks) =>
      configureAgentPlugins(blocks, agentBuiltIns, readPluginData),
    );
    const logging = createLogging({ ...config.log, nano: config.log.formatGiven, stream: 'stdout' });
    const log = logging.root;
    try {
      restrictUmask(log);
      // Loaded here, so that the other commands start without it.
      const { startAgent } = await import('../../agent/agent.ts');
      const start = (signal: AbortSignal) => startAgent({ config, plugins, clock: systemClock, log }, signal);
      return await serve({ name: 'Agent', log, reopenLog: () => logging.reopen(), start }, io);
    } finally {
      logging.close();
    }
  },
});
