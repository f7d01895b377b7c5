import { bool, int, text } from '../../common/cli/flags.ts';
import { loadConfigFile } from '../../common/config/load.ts';
import type { PluginBlock } from '../../plugins/catalog.ts';
import { configured } from '../configured.ts';
import { type AgentConfig, type AgentFlags, readAgentConfig } from '../../agent/config.ts';

/** The flags of `run` and `validate`. */
export const configurationFlags = {
  config: text('conf/agent/agent.conf', 'Path of the configuration file'),
  expandEnv: bool('Replaces $NAME and ${NAME} in the configuration file by the environment'),
  allowUnauthenticatedVerifiers: bool('Gives bundles to workloads that are not registered'),
  dataDir: text('', 'Folder for the data of the agent'),
  disableSDSAPI: bool('Does not serve the Envoy SDS API'),
  disableWorkloadAPI: bool('Does not serve the Workload API'),
  insecureBootstrap: bool('Takes the first server that answers for the right one; never do this in production'),
  joinToken: text('', 'Join token to attest with'),
  joinTokenFile: text('', 'File with the join token to attest with'),
  logFile: text('', 'File to log to instead of standard output'),
  logFormat: text('', 'text or json'),
  logLevel: text('', 'debug, info, warn or error'),
  logSourceLocation: bool('Adds the place in the source to each log line'),
  rebootstrapDelay: text('', 'How long a server must be untrusted before the agent bootstraps anew'),
  rebootstrapMode: text('', 'When the agent bootstraps anew: never'),
  serverAddress: text('', 'IP address or DNS name of the server'),
  serverPort: int(0, 'Port of the server'),
  socketPath: text('', 'Path of the public socket'),
  trustBundle: text('', 'File with the bundle that the server is first verified with'),
  trustBundleFormat: text('', 'Format of that file: pem or spiffe'),
  trustBundleUrl: text('', 'URL of a bundle that the server is first verified with'),
  trustDomain: text('', 'Trust domain of the agent'),
};

/** @throws FinialError with one line per problem of the file, its plugins and the flags */
export function configuration<Plugins>(
  flags: Required<AgentFlags> & { readonly config: string; readonly expandEnv: boolean },
  env: Readonly<Record<string, string | undefined>>,
  readPlugins: (blocks: readonly PluginBlock[]) => Plugins,
): { readonly config: AgentConfig; readonly plugins: Plugins } {
  const { config, expandEnv, ...overrides } = flags;
  const root = loadConfigFile(config, { expandEnv, env });
  return configured(root, (one) => readAgentConfig(one, overrides), readPlugins);
}
