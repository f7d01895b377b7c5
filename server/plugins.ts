import type { CloseStack } from '../common/lifecycle.ts';
import {
  type Catalog,
  type PluginBlock,
  type PluginSlot,
  type ReadPluginData,
  resolveCatalog,
} from '../plugins/catalog.ts';
import type { DataStore } from '../plugins/datastore/sql/contract.ts';
import type { KeyManager } from '../plugins/key-manager/contract.ts';
import type { ServerNodeAttestor, ServerNodeAttestorHost } from '../plugins/node-attestor/contract.ts';
import { pluginOpener, theOne } from '../plugins/open.ts';
import type { Plugin, PluginContext } from '../plugins/plugin.ts';
import type { UpstreamAuthority } from '../plugins/upstream-authority/contract.ts';

/** The plugins that a server is built with. */
export interface ServerBuiltIns {
  readonly dataStores: readonly Plugin<unknown, DataStore>[];
  readonly keyManagers: readonly Plugin<unknown, KeyManager>[];
  readonly upstreamAuthorities: readonly Plugin<unknown, UpstreamAuthority>[];
  readonly nodeAttestors: readonly Plugin<unknown, ServerNodeAttestor, ServerNodeAttestorHost>[];
}

interface ServerSlots extends Readonly<Record<string, PluginSlot<unknown>>> {
  readonly dataStores: PluginSlot<DataStore>;
  readonly keyManagers: PluginSlot<KeyManager>;
  readonly upstreamAuthorities: PluginSlot<UpstreamAuthority>;
  readonly nodeAttestors: PluginSlot<ServerNodeAttestor, ServerNodeAttestorHost>;
}

/** The plugins of one configuration, found good and not yet running. */
export type ServerPlugins = Catalog<ServerSlots>;

/**
 * As in the reference, tokens that an operator makes can be used although no block names their attestor: without a token
 * it lets nobody in.
 */
const ALWAYS_THERE = { type: 'NodeAttestor', name: 'join_token' };

/**
 * Reads the `plugins` section. Starts nothing, so that `validate` can use it.
 *
 * @param readData parses a `plugin_data_file`
 * @throws FinialError `invalid-argument` with one line per problem
 */
export function configureServerPlugins(
  blocks: readonly PluginBlock[],
  builtIns: ServerBuiltIns,
  readData: ReadPluginData,
): ServerPlugins {
  const slots: ServerSlots = {
    dataStores: { type: 'DataStore', builtIns: builtIns.dataStores, atLeast: 1, atMost: 1 },
    keyManagers: { type: 'KeyManager', builtIns: builtIns.keyManagers, atLeast: 1, atMost: 1 },
    upstreamAuthorities: {
      type: 'UpstreamAuthority',
      builtIns: builtIns.upstreamAuthorities,
      atLeast: 0,
      atMost: 1,
    },
    nodeAttestors: {
      type: 'NodeAttestor',
      builtIns: builtIns.nodeAttestors,
      atLeast: 0,
      atMost: Number.POSITIVE_INFINITY,
    },
  };
  return resolveCatalog(slots, withJoinTokens(blocks, builtIns), readData);
}

function withJoinTokens(blocks: readonly PluginBlock[], { nodeAttestors }: ServerBuiltIns): readonly PluginBlock[] {
  const { name, type } = ALWAYS_THERE;
  if (blocks.some((block) => block.type === type && block.name === name)) return blocks;
  if (!nodeAttestors.some((plugin) => plugin.name === name)) return blocks;
  const position = { file: 'built-in', line: 0, column: 0 };
  const plain = { command: '', args: [], checksum: '', data: undefined, dataFile: '', enabled: true };
  return [...blocks, { type, name, position, ...plain }];
}

/** The plugins of a server, running. */
export interface RunningPlugins {
  readonly dataStore: DataStore;
  readonly keyManager: KeyManager;
  readonly upstream: { readonly name: string; readonly authority: UpstreamAuthority } | undefined;
  /** By the attestation type that agents name. */
  readonly nodeAttestors: ReadonlyMap<string, ServerNodeAttestor>;
}

/** Starts the plugins; each is handed to `resources` as soon as it runs. */
export async function openServerPlugins(
  plugins: ServerPlugins,
  context: PluginContext,
  resources: CloseStack,
): Promise<RunningPlugins> {
  const open = pluginOpener(context, resources);
  const dataStore = await open(theOne(plugins.dataStores), undefined);
  const keyManager = await open(theOne(plugins.keyManagers), undefined);
  const [upstreamPlugin] = plugins.upstreamAuthorities;
  const upstream = upstreamPlugin && { name: upstreamPlugin.name, authority: await open(upstreamPlugin, undefined) };
  const host: ServerNodeAttestorHost = {
    joinTokens: dataStore.joinTokens,
    isAttested: async (agentId) => (await dataStore.nodes.get(agentId)) !== undefined,
  };
  const nodeAttestors = new Map<string, ServerNodeAttestor>();
  for (const plugin of plugins.nodeAttestors) nodeAttestors.set(plugin.name, await open(plugin, host));
  return { dataStore, keyManager, upstream, nodeAttestors };
}
