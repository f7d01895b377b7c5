import { defineCommand } from '../../common/cli/command.ts';
import { messageOf } from '../../common/errors.ts';
import { serverBuiltIns } from '../../plugins/builtin.ts';
import { configureServerPlugins } from '../../server/plugins.ts';
import { commandFailure } from '../failure.ts';
import { readPluginData } from '../read-plugin-data.ts';
import { configuration, configurationFlags } from './configuration.ts';

export const validate = defineCommand({
  name: 'validate',
  synopsis: 'Validates a SPIRE server configuration file',
  bareErrors: true,
  flags: configurationFlags,
  async run(flags, io) {
    try {
      configuration(flags, io.env, (blocks) => configureServerPlugins(blocks, serverBuiltIns, readPluginData));
    } catch (error) {
      throw commandFailure(`SPIRE server configuration file is invalid: ${messageOf(error)}`, { cause: error });
    }
    io.out('SPIRE server configuration file is valid.\n');
    return 0;
  },
});
