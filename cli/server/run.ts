import { defineCommand } from '../../common/cli/command.ts';
import { systemClock } from '../../common/clock.ts';
import { collectGarbage } from '../../common/garbage.ts';
import { createLogging } from '../../common/log/logging.ts';
import { serverBuiltIns } from '../../plugins/builtin.ts';
import { configureServerPlugins } from '../../server/plugins.ts';
import { readPluginData } from '../read-plugin-data.ts';
import { restrictUmask, serve } from '../serve.ts';
import { configuration, configurationFlags } from './configuration.ts';

export const run = defineCommand({
  name: 'run',
  synopsis: 'Runs the server',
  bareErrors: true,
  flags: configurationFlags,
  async run(flags, io) {
    const { config, plugins } = configuration(flags, io.env, (blocks) =>
      configureServerPlugins(blocks, serverBuiltIns, readPluginData),
    );
    const logging = createLogging({ ...config.log, nano: config.log.formatGiven, stream: 'stdout' });
    const log = logging.root;
    try {
      restrictUmask(log);
      // Loaded here, so that the other commands start without it.
      const { startServer } = await import('../../server/server.ts');
      const start = () => startServer({ config, plugins, clock: systemClock, log, beforeServing: collectGarbage });
      return await serve({ name: 'Server', log, reopenLog: () => logging.reopen(), start }, io);
    } finally {
      logging.close();
    }
  },
});
