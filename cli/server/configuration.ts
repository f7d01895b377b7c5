import { bool, int, text } from '../../common/cli/flags.ts';
import { loadConfigFile } from '../../common/config/load.ts';
import type { PluginBlock } from '../../plugins/catalog.ts';
import { configured } from '../configured.ts';
import { readServerConfig, type ServerConfig, type ServerFlags } from '../../server/config.ts';

/** The flags of `run` and `validate`. */
export const configurationFlags = {
  config: text('conf/server/server.conf', 'Path of the configuration file'),
  expandEnv: bool('Replaces $NAME and ${NAME} in the configuration file by the environment'),
  bindAddress: text('', 'IP address or DNS name to listen on'),
  serverPort: int(0, 'Port to listen on'),
  trustDomain: text('', 'Trust domain to serve'),
  dataDir: text('', 'Folder for the data of the server'),
  logFile: text('', 'File to log to instead of standard output'),
  logFormat: text('', 'text or json'),
  logLevel: text('', 'debug, info, warn or error'),
  logSourceLocation: bool('Adds the place in the source to each log line'),
  socketPath: text('', 'Path of the admin socket'),
};

/** @throws FinialError with one line per problem of the file, its plugins and the flags */
export function configuration<Plugins>(
  flags: Required<ServerFlags> & { readonly config: string; readonly expandEnv: boolean },
  env: Readonly<Record<string, string | undefined>>,
  readPlugins: (blocks: readonly PluginBlock[]) => Plugins,
): { readonly config: ServerConfig; readonly plugins: Plugins } {
  const { config, expandEnv, ...overrides } = flags;
  const root = loadConfigFile(config, { expandEnv, env });
  return configured(root, (one) => readServerConfig(one, overrides), readPlugins);
}
