import { loadConfigFile } from '../common/config/load.ts';
import type { ConfigObject } from '../common/config/tree.ts';

/** Parses a `plugin_data_file`; like the reference, without the environment. */
export function readPluginData(file: string): ConfigObject {
  return loadConfigFile(file, { expandEnv: false, env: {} });
}
