import { decode, object } from '../common/config/schema.ts';
import type { ConfigObject } from '../common/config/tree.ts';
import { FinialError, messageOf } from '../common/errors.ts';
import { type PluginBlock, pluginBlocks } from '../plugins/catalog.ts';

const pluginsOnly = object({ plugins: pluginBlocks() }, { unknown: 'ignore' });

/**
 * Reads the settings and the plugins of a configuration independently, so that problems of both are told at once.
 *
 * @throws FinialError `invalid-argument` with one line per problem
 */
export function configured<Config, Plugins>(
  root: ConfigObject,
  readConfig: (root: ConfigObject) => Config,
  readPlugins: (blocks: readonly PluginBlock[]) => Plugins,
): { readonly config: Config; readonly plugins: Plugins } {
  const problems = new Set<string>();
  const attempt = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof FinialError) || error.code !== 'invalid-argument') throw error;
      for (const line of messageOf(error).split('\n')) problems.add(line);
      return undefined;
    }
  };
  const config = attempt(() => ({ value: readConfig(root) }));
  const plugins = attempt(() => ({ value: readPlugins(decode(pluginsOnly, root, '').plugins) }));
  if (config === undefined || plugins === undefined) {
    throw new FinialError('invalid-argument', [...problems].join('\n'));
  }
  return { config: config.value, plugins: plugins.value };
}
