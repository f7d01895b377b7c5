import type { CloseStack } from '../common/lifecycle.ts';
import {
  type Catalog,
  type PluginBlock,
  type PluginSlot,
  type ReadPluginData,
  resolveCatalog,
} from '../plugins/catalog.ts';
import type { KeyManager } from '../plugins/key-manager/contract.ts';
import type { AgentNodeAttestor, AgentNodeAttestorHost } from '../plugins/node-attestor/contract.ts';
import { pluginOpener, theOne } from '../plugins/open.ts';
import type { Plugin, PluginContext } from '../plugins/plugin.ts';
import type { WorkloadAttestor } from '../plugins/workload-attestor/contract.ts';

/** The plugins that an agent is built with. */
export interface AgentBuiltIns {
  readonly keyManagers: readonly Plugin<unknown, KeyManager>[];
  readonly nodeAttestors: readonly Plugin<unknown, AgentNodeAttestor, AgentNodeAttestorHost>[];
  readonly workloadAttestors: readonly Plugin<unknown, WorkloadAttestor>[];
}

interface AgentSlots extends Readonly<Record<string, PluginSlot<unknown>>> {
  readonly keyManagers: PluginSlot<KeyManager>;
  readonly nodeAttestors: PluginSlot<AgentNodeAttestor, AgentNodeAttestorHost>;
  readonly workloadAttestors: PluginSlot<WorkloadAttestor>;
}

/** The plugins of one configuration, found good and not yet running. */
export type AgentPlugins = Catalog<AgentSlots>;

/**
 * Reads the `plugins` section. Starts nothing, so that `validate` can use it.
 *
 * @param readData parses a `plugin_data_file`
 * @throws FinialError `invalid-argument` with one line per problem
 */
export function configureAgentPlugins(
  blocks: readonly PluginBlock[],
  builtIns: AgentBuiltIns,
  readData: ReadPluginData,
): AgentPlugins {
  const slots: AgentSlots = {
    keyManagers: { type: 'KeyManager', builtIns: builtIns.keyManagers, atLeast: 1, atMost: 1 },
    nodeAttestors: { type: 'NodeAttestor', builtIns: builtIns.nodeAttestors, atLeast: 1, atMost: 1 },
    workloadAttestors: {
      type: 'WorkloadAttestor',
      builtIns: builtIns.workloadAttestors,
      atLeast: 1,
      atMost: Number.POSITIVE_INFINITY,
    },
  };
  return resolveCatalog(slots, blocks, readData);
}

/** The plugins of an agent, running. */
export interface RunningPlugins {
  readonly keyManager: KeyManager;
  readonly nodeAttestor: AgentNodeAttestor;
  /** By name. */
  readonly workloadAttestors: ReadonlyMap<string, WorkloadAttestor>;
}

/** Starts the plugins; each is handed to `resources` as soon as it runs. */
export async function openAgentPlugins(
  plugins: AgentPlugins,
  context: PluginContext,
  host: AgentNodeAttestorHost,
  resources: CloseStack,
): Promise<RunningPlugins> {
  const open = pluginOpener(context, resources);
  const keyManager = await open(theOne(plugins.keyManagers), undefined);
  const nodeAttestor = await open(theOne(plugins.nodeAttestors), host);
  const workloadAttestors = new Map<string, WorkloadAttestor>();
  for (const plugin of plugins.workloadAttestors) workloadAttestors.set(plugin.name, await open(plugin, undefined));
  return { keyManager, nodeAttestor, workloadAttestors };
}
