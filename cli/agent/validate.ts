import { configureAgentPlugins } from '../../agent/plugins.ts';
import { defineCommand } from '../../common/cli/command.ts';
import { messageOf } from '../../common/errors.ts';
import { agentBuiltIns } from '../../plugins/builtin.ts';
import { commandFailure } from '../failure.ts';
import { readPluginData } from '../read-plugin-data.ts';
import { configuration, configurationFlags } from './configuration.ts';

export const validate = defineCommand({
  name: 'validate',
  synopsis: 'Validates a SPIRE agent configuration file',
  bareErrors: true,
  flags: configurationFlags,
  async run(flags, io) {
    try {
      configuration(flags, io.env, (blocks) => configureAgentPlugins(blocks, agentBuiltIns, readPluginData));
    } catch (error) {
      throw commandFailure(`SPIRE agent configuration file is invalid: ${messageOf(error)}`, { cause: error });
    }
    io.out('SPIRE agent configuration file is valid.\n');
    return 0;
  },
});
