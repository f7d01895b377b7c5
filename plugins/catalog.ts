import { closest, Problems } from '../common/config/problems.ts';
import { boolean, list, object, optional, raw, string, withDefault } from '../common/config/schema.ts';
import { type Invalid, invalid, itemsOf, type Place, type Schema } from '../common/config/schema-core.ts';
import type { ConfigItem, ConfigKey, ConfigNode, Position } from '../common/config/tree.ts';
import { FinialError, messageOf, withContext } from '../common/errors.ts';
import type { Plugin, PluginContext } from './plugin.ts';

/** One `Type "name" { … }` of the `plugins` section. */
export interface PluginBlock {
  /** Such as `KeyManager`. */
  readonly type: string;
  /** Such as `disk`. */
  readonly name: string;
  readonly position: Position;
  /** The program of an external plugin; empty for a built-in. */
  readonly command: string;
  readonly args: readonly string[];
  /** SHA-256 of the program in hexadecimal; may be empty. */
  readonly checksum: string;
  readonly data: ConfigNode | undefined;
  /** A file that holds the data instead. */
  readonly dataFile: string;
  readonly enabled: boolean;
}

const wrapper = object(
  {
    plugin_cmd: withDefault(string(), ''),
    plugin_args: list(string()),
    plugin_checksum: withDefault(string(), ''),
    plugin_data: optional(raw()),
    plugin_data_file: withDefault(string(), ''),
    enabled: withDefault(boolean(), true),
  },
  // As in the reference; what is inside `plugin_data` is the plugin's own and strict.
  { unknown: 'ignore' },
);

/**
 * The `plugins` section, in the order of the text: `Type "name" { … }`, `Type { name { … } }` or JSON's forms of these.
 * The same type and name twice is an error. Types and names are told apart by case.
 */
export function pluginBlocks(): Schema<readonly PluginBlock[]> {
  return {
    shape: { kind: 'labelled', element: { kind: 'labelled', element: wrapper.shape }, presence: 'required' },
    read(found, place) {
      if (found.length === 0) {
        place.problems.add(place.position, place.path, 'must be configured');
        return invalid;
      }
      const types = itemsOf(found, place);
      if (types === invalid) return invalid;
      const before = place.problems.count;
      const blocks = new Map<string, PluginBlock>();
      for (const { keys, value } of types) {
        const [type, ...labels] = keys;
        if (type === undefined) continue;
        const inside = { ...place, path: `${place.path}.${type.name}` };
        const named = itemsOf([{ labels, value, position: type.position }], inside);
        if (named !== invalid) for (const item of named) addBlock(blocks, type, item, inside);
      }
      return place.problems.count > before ? invalid : [...blocks.values()];
    },
  };
}

function addBlock(blocks: Map<string, PluginBlock>, type: ConfigKey, { keys, value }: ConfigItem, place: Place): void {
  const [name, ...labels] = keys;
  if (name === undefined) return;
  const { position } = name;
  const label = `${JSON.stringify(type.name)}/${JSON.stringify(name.name)}`;
  if (blocks.has(label)) {
    place.problems.add(position, '', `plugin ${label} declared more than once`);
    return;
  }
  const path = `${place.path}[${JSON.stringify(name.name)}]`;
  const read = wrapper.read([{ labels, value, position }], { ...place, path, position });
  if (read === invalid) return;
  if (read.plugin_data !== undefined && read.plugin_data_file !== '') {
    place.problems.add(position, path, 'only one of [plugin_data, plugin_data_file] can be used');
    return;
  }
  blocks.set(label, {
    type: type.name,
    name: name.name,
    position,
    command: read.plugin_cmd,
    args: read.plugin_args,
    checksum: read.plugin_checksum,
    data: read.plugin_data,
    dataFile: read.plugin_data_file,
    enabled: read.enabled,
  });
}

/** The plugins of one type that a process knows, and how many of them may be configured. */
export interface PluginSlot<Instance, Host = unknown> {
  readonly type: string;
  readonly builtIns: readonly Plugin<unknown, Instance, Host>[];
  readonly atLeast: number;
  /** Infinity for any number. */
  readonly atMost: number;
}

/** A plugin whose configuration was read and found good; nothing runs yet. */
export interface ConfiguredPlugin<Instance, Host = unknown> {
  readonly type: string;
  readonly name: string;
  /** Makes the instance; its logger names the plugin, and its errors begin with `<type>(<name>): `. */
  create(context: PluginContext, host: Host): Promise<Instance>;
}

/** Parses a `plugin_data_file`; throws FinialError. */
export type ReadPluginData = (file: string) => ConfigNode;

type Slots = Readonly<Record<string, PluginSlot<unknown>>>;

/** The configured plugins by slot. */
export type Catalog<S extends Slots> = {
  readonly [K in keyof S]: S[K] extends PluginSlot<infer Instance, infer Host>
    ? readonly ConfiguredPlugin<Instance, Host>[]
    : never;
};

/**
 * Chooses the plugins that the configuration names and reads the configuration of each. Pure but for `readData`, so
 * that `validate` starts nothing.
 *
 * @throws FinialError `invalid-argument` with one line per problem of any plugin
 */
export function resolveCatalog<const S extends Slots>(
  slots: S,
  blocks: readonly PluginBlock[],
  readData: ReadPluginData,
): Catalog<S> {
  const problems = new Problems();
  const types = Object.values(slots).map(({ type }) => type);
  for (const { type, position } of blocks.filter((block) => !types.includes(block.type))) {
    const near = closest(type, types);
    const hint = near === undefined ? `there is: ${types.join(', ')}` : `did you mean ${JSON.stringify(near)}?`;
    problems.add(position, '', `unsupported plugin type ${JSON.stringify(type)}; ${hint}`);
  }
  const catalog = Object.entries(slots).map(([name, slot]) => [
    name,
    configurePlugins(slot, blocks, readData, problems),
  ]);
  problems.throwIfAny();
  // Each list was made from the slot of its name.
  return Object.fromEntries(catalog) as Catalog<S>;
}

/**
 * The configured plugins of one type, in the order of the text; blocks of other types are passed over, and so are
 * disabled ones.
 *
 * @param problems takes what is wrong; the caller throws when all types were read
 */
function configurePlugins<Instance, Host>(
  slot: PluginSlot<Instance, Host>,
  blocks: readonly PluginBlock[],
  readData: ReadPluginData,
  problems: Problems,
): readonly ConfiguredPlugin<Instance, Host>[] {
  const own = blocks.filter((block) => block.type === slot.type && block.enabled);
  const { atLeast, atMost } = slot;
  if (own.length < atLeast || own.length > atMost) {
    const bound =
      atLeast === atMost ? `exactly ${atLeast}` : own.length < atLeast ? `at least ${atLeast}` : `at most ${atMost}`;
    const constraint = `plugin type ${JSON.stringify(slot.type)} constraint not satisfied`;
    problems.add(own.at(atMost)?.position, '', `${constraint}: expected ${bound} but got ${own.length}`);
  }
  return own.flatMap((block) => {
    const configured = configurePlugin(slot, block, readData, problems);
    return configured === invalid ? [] : [configured];
  });
}

function configurePlugin<Instance, Host>(
  slot: PluginSlot<Instance, Host>,
  block: PluginBlock,
  readData: ReadPluginData,
  problems: Problems,
): ConfiguredPlugin<Instance, Host> | Invalid {
  const { type, name, position } = block;
  const label = `${type.toLowerCase()}(${name})`;
  if (block.command !== '') {
    problems.add(position, label, 'external plugins (plugin_cmd) are not available yet in this build');
    return invalid;
  }
  const plugin = slot.builtIns.find((one) => one.name === name);
  if (plugin === undefined) {
    const known = slot.builtIns.map((one) => one.name).sort();
    const missing = `no built-in plugin ${JSON.stringify(name)} for type ${JSON.stringify(type)}`;
    problems.add(position, label, `${missing}; there is: ${known.join(', ')}`);
    return invalid;
  }
  const config = readConfig(plugin, block, label, readData, problems);
  if (config === invalid) return invalid;
  const create = async (context: PluginContext, host: Host): Promise<Instance> => {
    const fields = { external: false, plugin_name: name, plugin_type: type };
    const log = context.log.with({ ...fields, subsystem_name: `built-in_plugin.${name}` });
    try {
      return await plugin.create(config, { ...context, log }, host);
    } catch (error) {
      throw withContext(label, error);
    }
  };
  return { type, name, create };
}

function readConfig<Instance, Host>(
  plugin: Plugin<unknown, Instance, Host>,
  block: PluginBlock,
  label: string,
  readData: ReadPluginData,
  problems: Problems,
): unknown {
  const { position } = block;
  try {
    const data = block.dataFile === '' ? block.data : readData(block.dataFile);
    const found = data === undefined ? [] : [{ labels: [], value: data, position: data.position }];
    return plugin.config.read(found, { path: `${label}: plugin_data`, position, problems });
  } catch (error) {
    if (!(error instanceof FinialError)) throw error;
    problems.add(position, label, messageOf(error));
    return invalid;
  }
}
