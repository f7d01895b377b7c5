import type { CloseStack } from '../common/lifecycle.ts';
import type { ConfiguredPlugin } from './catalog.ts';
import type { PluginContext } from './plugin.ts';

/** Starts one configured plugin, lending it `host`. */
export type OpenPlugin = <I extends object, H>(plugin: ConfiguredPlugin<I, H>, host: H) => Promise<I>;

/** What starts plugins; each is handed to `resources` as soon as it runs. */
export function pluginOpener(context: PluginContext, resources: CloseStack): OpenPlugin {
  return async (plugin, host) => {
    const instance = await plugin.create(context, host);
    resources.defer(`${plugin.type}(${plugin.name})`, () => closeIfItCan(instance));
    context.log.info('Plugin loaded', { external: false, plugin_name: plugin.name, plugin_type: plugin.type });
    return instance;
  };
}

/** The plugin of a slot that holds exactly one, which the catalog has seen to. */
export function theOne<T>(list: readonly T[]): T {
  const [one] = list;
  if (one === undefined) throw new TypeError('the catalog let a configuration pass without this plugin');
  return one;
}

async function closeIfItCan(instance: object): Promise<void> {
  if ('close' in instance && typeof instance.close === 'function') await instance.close();
}
