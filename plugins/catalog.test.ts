import { describe, expect, it } from 'vitest';
import { ManualClock } from '../common/clock.ts';
import { parseConfigText } from '../common/config/hcl.ts';
import { decode, integer, object, required, string, withDefault } from '../common/config/schema.ts';
import { FinialError } from '../common/errors.ts';
import { type LogFields, silentLogger } from '../common/log/logger.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';
import { type PluginBlock, pluginBlocks, type ReadPluginData, resolveCatalog } from './catalog.ts';
import { definePlugin } from './plugin.ts';

interface Store {
  readonly path: string;
}
interface StoreHost {
  readonly root: string;
}
interface Attestor {
  readonly limit: number;
}

const disk = definePlugin<{ readonly keys_path: string }, Store, StoreHost>({
  type: 'KeyManager',
  name: 'disk',
  config: object({ keys_path: required(string()) }),
  create: (config, _, host) => {
    if (config.keys_path === 'full') throw new FinialError('resource-exhausted', 'no space');
    return { path: `${host.root}/${config.keys_path}` };
  },
});
const memory = definePlugin({
  type: 'KeyManager',
  name: 'memory',
  config: object({}),
  create: (): Store => ({ path: '' }),
});
const unix = definePlugin({
  type: 'WorkloadAttestor',
  name: 'unix',
  config: object({ limit: withDefault(integer(), 5) }),
  create: ({ limit }): Attestor => ({ limit }),
});
const slots = {
  keyManager: { type: 'KeyManager', builtIns: [memory, disk], atLeast: 1, atMost: 1 },
  attestors: { type: 'WorkloadAttestor', builtIns: [unix], atLeast: 1, atMost: Number.POSITIVE_INFINITY },
  upstream: { type: 'UpstreamAuthority', builtIns: [unix], atLeast: 0, atMost: 1 },
};

const blocksOf = (text: string): readonly PluginBlock[] =>
  decode(object({ plugins: pluginBlocks() }), parseConfigText(text, 'f.conf'), '').plugins;
const noFile: ReadPluginData = (file) => {
  throw new FinialError('not-found', `could not find config file ${file}`);
};
const resolve = (text: string, readData: ReadPluginData = noFile) => resolveCatalog(slots, blocksOf(text), readData);
const problems = (text: string): string[] => {
  try {
    resolve(text);
  } catch (error) {
    if (error instanceof FinialError && error.code === 'invalid-argument') return error.message.split('\n');
    throw error;
  }
  return [];
};
const context = { trustDomain: parseTrustDomain('example.org'), clock: new ManualClock(), log: silentLogger };

describe('pluginBlocks', () => {
  const shapes = [
    'plugins {\n KeyManager "memory" {}\n WorkloadAttestor "unix" { plugin_data { limit = 1 } }\n}',
    'plugins {\n KeyManager { memory {} }\n WorkloadAttestor { "unix" { plugin_data { limit = 1 } } }\n}',
    'plugins { KeyManager "memory" {} }\nplugins "WorkloadAttestor" "unix" plugin_data { limit = 1 }',
    '{"plugins": {"KeyManager": {"memory": {}}, "WorkloadAttestor": {"unix": {"plugin_data": {"limit": 1}}}}}',
    '{"plugins": [{"KeyManager": [{"memory": {"plugin_data": null}}]}, {"WorkloadAttestor": [{"unix": {"plugin_data": [{"limit": 1}]}}]}]}',
  ];

  it.each(shapes)('reads %j', async (text) => {
    const blocks = blocksOf(text);
    expect(blocks.map(({ type, name, enabled, command }) => [type, name, enabled, command])).toEqual([
      ['KeyManager', 'memory', true, ''],
      ['WorkloadAttestor', 'unix', true, ''],
    ]);
    expect(blocks[0]?.position.file).toBe('f.conf');
    expect(await resolve(text).attestors[0]?.create(context, {})).toEqual({ limit: 1 });
  });

  it('reads the wrapper, ignoring keys it does not know', () => {
    expect(
      blocksOf(
        'plugins { A "b" { plugin_cmd = "./x" plugin_args = ["-v"] plugin_checksum = "ab" enabled = 0 args = 1 } }',
      ),
    ).toMatchObject([{ command: './x', args: ['-v'], checksum: 'ab', enabled: false, data: undefined, dataFile: '' }]);
  });

  it.each([
    ['', 'f.conf:1: plugins: must be configured'],
    ['plugins {\n A "b" {}\n A { b {} } }', 'f.conf:3: plugin "A"/"b" declared more than once'],
    [
      'plugins { A "b" {\n plugin_data {}\n plugin_data_file = "x" } }',
      'f.conf:1: plugins.A["b"]: only one of [plugin_data, plugin_data_file] can be used',
    ],
    [
      'plugins {\n A "b" { enabled = "perhaps" } }',
      'f.conf:2: plugins.A["b"].enabled: must be true or false, not "perhaps"',
    ],
    ['plugins { A = 1 }', 'f.conf:1: plugins.A: must be a block: { … }'],
  ])('refuses %j', (text, message) => {
    expect(() => blocksOf(text)).toThrow(new FinialError('invalid-argument', message));
  });
});

describe('resolveCatalog', () => {
  it('configures what is enabled, in the order of the text, and creates on request', async () => {
    const catalog = resolve(`plugins {
      KeyManager "memory" { enabled = false }
      KeyManager "disk" { plugin_data { keys_path = "k.json" } }
      WorkloadAttestor "unix" {}
    }`);
    expect(catalog.upstream).toEqual([]);
    expect(catalog.keyManager.map(({ type, name }) => [type, name])).toEqual([['KeyManager', 'disk']]);
    expect(await catalog.keyManager[0]?.create(context, { root: '/data' })).toEqual({ path: '/data/k.json' });
    expect(await catalog.attestors[0]?.create(context, {})).toEqual({ limit: 5 });
  });

  it('reads plugin_data_file', async () => {
    const text = 'plugins { KeyManager "disk" { plugin_data_file = "d.conf" } WorkloadAttestor "unix" {} }';
    const catalog = resolve(text, (file) => parseConfigText(`keys_path = "${file}.json"`, file));
    expect(await catalog.keyManager[0]?.create(context, { root: '' })).toEqual({ path: '/d.conf.json' });
    expect(problems(text)).toEqual(['f.conf:1: keymanager(disk): could not find config file d.conf']);
  });

  it('reports everything that is wrong at once', () => {
    const text = `plugins {
      KeyManager "disk" {
        plugin_data { keys_paht = "x" }
      }
      KeyManager "memory" {}
      WorkloadAttestor "unix" {
        plugin_data {
          limit = "much"
        }
      }
      WorkloadAttestor "docker" {}
      UpstreamAuthority "ext" { plugin_cmd = "./ext" }
      NodeAttester "x" {}
      WorkloadAttestr "unix" {}
    }`;
    expect(problems(text)).toEqual([
      'f.conf:3: keymanager(disk): plugin_data.keys_paht: unknown configuration key; did you mean "keys_path"?',
      'f.conf:3: keymanager(disk): plugin_data.keys_path: must be configured',
      'f.conf:5: plugin type "KeyManager" constraint not satisfied: expected exactly 1 but got 2',
      'f.conf:8: workloadattestor(unix): plugin_data.limit: must be a whole number, not "much"',
      'f.conf:11: workloadattestor(docker): no built-in plugin "docker" for type "WorkloadAttestor"; there is: unix',
      'f.conf:12: upstreamauthority(ext): external plugins (plugin_cmd) are not available yet in this build',
      'f.conf:13: unsupported plugin type "NodeAttester"; there is: KeyManager, WorkloadAttestor, UpstreamAuthority',
      'f.conf:14: unsupported plugin type "WorkloadAttestr"; did you mean "WorkloadAttestor"?',
    ]);
  });

  it('counts enabled plugins only', () => {
    expect(problems('plugins { KeyManager "disk" { enabled = false } UpstreamAuthority "unix" {} }')).toEqual([
      'plugin type "KeyManager" constraint not satisfied: expected exactly 1 but got 0',
      'plugin type "WorkloadAttestor" constraint not satisfied: expected at least 1 but got 0',
    ]);
    const two =
      'plugins { KeyManager "memory" {} WorkloadAttestor "unix" {} UpstreamAuthority { unix {} b { plugin_data {} } } }';
    expect(problems(two)[0]).toBe(
      'f.conf:1: plugin type "UpstreamAuthority" constraint not satisfied: expected at most 1 but got 2',
    );
  });

  it('points at the block for what its absent plugin_data lacks', () => {
    expect(problems('plugins {\n WorkloadAttestor "unix" {}\n KeyManager "disk" {}\n}')).toEqual([
      'f.conf:3: keymanager(disk): plugin_data.keys_path: must be configured',
    ]);
  });

  it('names the plugin in its log and its errors', async () => {
    const bound: LogFields[] = [];
    const log = { ...silentLogger, with: (fields: LogFields) => (bound.push(fields), silentLogger) };
    const catalog = resolve(
      'plugins { KeyManager "disk" { plugin_data { keys_path = "full" } } WorkloadAttestor "unix" {} }',
    );
    const failing = catalog.keyManager[0]?.create({ ...context, log }, { root: '' });
    await expect(failing).rejects.toMatchObject({ code: 'resource-exhausted', message: 'keymanager(disk): no space' });
    expect(bound).toEqual([
      { external: false, plugin_name: 'disk', plugin_type: 'KeyManager', subsystem_name: 'built-in_plugin.disk' },
    ]);
  });
});
