import type { Cli, Command } from '../common/cli/command.ts';
import { COMPATIBLE_VERSION, VERSION } from '../common/version.ts';
import { agentCli } from './agent.ts';
import { serverCli } from './server.ts';

/** The commands of `cli` under a first word of their own. */
function under(word: string, cli: Cli): Command[] {
  return cli.commands.map((command) => ({ ...command, name: `${word} ${command.name}` }));
}

/** The command line of `finial`: both programs under one name. */
export const finialCli: Cli = {
  name: 'finial',
  version: `finial ${VERSION} (compatible with SPIRE ${COMPATIBLE_VERSION})`,
  commands: [...under('server', serverCli), ...under('agent', agentCli)],
  groups: {
    server: 'The server: keeps registration entries and signs identities (spire-server)',
    agent: 'The agent: hands identities to the workloads of a node (spire-agent)',
  },
};
