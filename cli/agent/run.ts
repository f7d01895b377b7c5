import { configureAgentPlugins } from '../../agent/plugins.ts';
import v8 from 'node:v8';
import { defineCommand } from '../../common/cli/command.ts';
import { systemClock } from '../../common/clock.ts';
import { collectGarbage } from '../../common/garbage.ts';
import { createLogging } from '../../common/log/logging.ts';
import { agentBuiltIns } from '../../plugins/builtin.ts';
import { readPluginData } from '../read-plugin-data.ts';
import { restrictUmask, serve } from '../serve.ts';
import { configuration, configurationFlags } from './configuration.ts';

/**
 * An agent runs on every node and is idle most of the time: new objects get 2 MB at a time instead of up to 32. That saves
 * 3 MB when idle and on Node.js 24 about 100 MB under load; calls are as fast as before (measured with `npm run bench`).
 */
function keepSmall(): void {
  v8.setFlagsFromString('--max-semi-space-size=2');
  v8.setFlagsFromString('--semi-space-growth-factor=1');
}

export const run = defineCommand({
  name: 'run',
  synopsis: 'Runs the agent',
  bareErrors: true,
  flags: configurationFlags,
  async run(flags, io) {
    keepSmall();
    const { config, plugins } = configuration(flags, io.env, (blocks) =>
      configureAgentPlugins(blocks, agentBuiltIns, readPluginData),
    );
    const logging = createLogging({ ...config.log, nano: config.log.formatGiven, stream: 'stdout' });
    const log = logging.root;
    try {
      restrictUmask(log);
      // Loaded here, so that the other commands start without it.
      const { startAgent } = await import('../../agent/agent.ts');
      const start = async (signal: AbortSignal) => {
        const running = await startAgent({ config, plugins, clock: systemClock, log }, signal);
        collectGarbage();
        return running;
      };
      return await serve({ name: 'Agent', log, reopenLog: () => logging.reopen(), start }, io);
    } finally {
      logging.close();
    }
  },
});
