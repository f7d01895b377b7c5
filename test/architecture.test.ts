import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { findCycle, type Import, importsOf, readImports, sourceFiles } from './support/imports.ts';

const root = path.resolve(import.meta.dirname, '..');

/** A part of the house and what it may import; both are matched against the start of a path, the longest rule wins. */
interface Rule {
  readonly importer: RegExp;
  readonly mayImport: readonly RegExp[];
}

const contracts = /^plugins\/([^/]+\/(sql\/)?contract|plugin|catalog|open)\.ts$/;
const storageProto = /^(proto\/gen\/storage\/|common\/rpc\/message\.ts$)/;

/**
 * The table of DESIGN.md, section 1. Rules are tried from the top; the first whose importer matches decides. Files of
 * the importer's own plugin folder are always allowed.
 */
const RULES: readonly Rule[] = [
  { importer: /^spiffe\//, mayImport: [/^spiffe\//] },
  { importer: /^common\/rpc\//, mayImport: [/^common\//, /^spiffe\//, /^proto\//] },
  { importer: /^common\//, mayImport: [/^common\//, /^spiffe\//] },
  { importer: contracts, mayImport: [/^spiffe\//, /^common\//, contracts] },
  { importer: /^plugins\/builtin\.ts$/, mayImport: [/^plugins\//] },
  { importer: /^plugins\/datastore\/sql\//, mayImport: [/^spiffe\//, /^common\//, contracts, storageProto] },
  { importer: /^plugins\//, mayImport: [/^spiffe\//, /^common\//, contracts] },
  { importer: /^server\/api\//, mayImport: [/^server\//, /^spiffe\//, /^common\//, contracts, /^proto\//] },
  { importer: /^server\/ca\/journal/, mayImport: [/^server\//, /^spiffe\//, /^common\//, contracts, storageProto] },
  { importer: /^server\//, mayImport: [/^server\//, /^spiffe\//, /^common\//, contracts] },
  {
    importer: /^agent\/(api|server-client)\//,
    mayImport: [/^agent\//, /^spiffe\//, /^common\//, contracts, /^proto\//],
  },
  { importer: /^agent\//, mayImport: [/^agent\//, /^spiffe\//, /^common\//, contracts] },
  {
    importer: /^client\//,
    mayImport: [
      /^client\//,
      /^spiffe\//,
      /^proto\//,
      /^common\/(rpc\/|net\/presented-chain\.ts|errors\.ts|backoff\.ts|clock\.ts|linked-signal\.ts|observable\.ts)/,
    ],
  },
  { importer: /^cli\//, mayImport: [/^(agent|cli|client|common|plugins|proto|server|spiffe)\//] },
  { importer: /^deploy\//, mayImport: [/^deploy\//, /^client\//, /^spiffe\//, /^common\//] },
];

/** Inside the server only the composition root reaches across; the rest follows the flow of a request. */
const SERVER_FOLDERS: Readonly<Record<string, readonly string[]>> = {
  api: ['api', 'entries', 'attestation', 'issuance', 'ca', 'bundle', 'identity'],
  entries: ['entries'],
  attestation: ['attestation', 'issuance', 'ca'],
  issuance: ['issuance', 'entries', 'ca'],
  identity: ['identity', 'issuance', 'ca'],
  ca: ['ca', 'bundle'],
  bundle: ['bundle'],
};

const AGENT_FOLDERS: Readonly<Record<string, readonly string[]>> = {
  api: ['api', 'workload', 'cache'],
  sync: ['sync', 'cache', 'server-client', 'attestation', 'storage'],
  attestation: ['attestation', 'server-client', 'storage'],
  cache: ['cache', 'server-client'],
  workload: ['workload'],
  storage: ['storage'],
  'server-client': ['server-client'],
};

const isTest = (file: string): boolean => /(\.test|\/conformance)\.ts$/.test(file);
const isPackage = (to: string): boolean => !to.endsWith('.ts');

/** Says what is wrong with an import, or undefined. */
function judge(one: Import): string | undefined {
  const where = `${one.from} imports ${one.to}`;
  // An application hands its own copy of the library to client/grpc.ts, which knows no more of it than its types.
  const isTypeOfGrpc = one.typeOnly && one.from === 'client/grpc.ts';
  // Examples are applications: they bring their own packages.
  const isExample = one.from.startsWith('deploy/examples/client/');
  if (one.to.startsWith('@grpc/') && !/^(common\/rpc|proto\/gen)\//.test(one.from) && !isTypeOfGrpc && !isExample) {
    return `${where}: only common/rpc imports the gRPC library`;
  }
  if (isPackage(one.to)) return undefined;
  const plugin = /^plugins\/[^/]+\/[^/]+\//.exec(one.from)?.[0];
  if (plugin !== undefined && one.to.startsWith(plugin)) return undefined;
  if (one.from.startsWith('cli/') && /^plugins\/[^/]+\/[^/]+\/(?!contract)/.test(one.to)) {
    return `${where}: the CLI reaches plugins through plugins/builtin.ts only`;
  }
  if (one.to === 'plugins/builtin.ts' && !/^cli\/.*(run|validate)/.test(one.from)) {
    return `${where}: only run and validate may list the built-in plugins`;
  }
  const rule = RULES.find(({ importer }) => importer.test(one.from));
  if (rule === undefined) return `${where}: no rule for the importer`;
  if (!rule.mayImport.some((allowed) => allowed.test(one.to))) return `${where}: not in the table`;
  return judgeFolders(one, 'server', SERVER_FOLDERS) ?? judgeFolders(one, 'agent', AGENT_FOLDERS);
}

function judgeFolders(
  one: Import,
  house: string,
  table: Readonly<Record<string, readonly string[]>>,
): string | undefined {
  const [fromHouse, from = '', ...fromRest] = one.from.split('/');
  const [toHouse, to = '', ...toRest] = one.to.split('/');
  // Files beside the folders (server.ts, config.ts) compose the rest; types alone tie nothing together.
  if (fromHouse !== house || toHouse !== house || fromRest.length === 0 || toRest.length === 0) return undefined;
  if (one.typeOnly || table[from]?.includes(to)) return undefined;
  return `${one.from} imports ${one.to}: ${from} may not import ${to} inside ${house}`;
}

const houses = ['spiffe', 'common', 'plugins', 'server', 'agent', 'client', 'cli', 'deploy'];
const files = sourceFiles(root, houses);
const imports = readImports(root, files);

describe('the house', () => {
  it('has source to judge', () => {
    expect(files.length).toBeGreaterThan(100);
    expect(imports.length).toBeGreaterThan(500);
  });

  it('follows the import table of DESIGN.md', () => {
    expect(imports.filter((one) => !isTest(one.from)).flatMap((one) => judge(one) ?? [])).toEqual([]);
  });

  it('lets tests reach for anything but other houses of production code through the back door', () => {
    const wrong = imports.filter((one) => !isTest(one.from) && one.to.startsWith('test/'));
    expect(wrong).toEqual([]);
  });

  it('has no import cycle', () => {
    expect(findCycle(imports)).toBeUndefined();
  });
});

describe('the judge itself', () => {
  const judged = (from: string, to: string): string | undefined => {
    const [one] = importsOf(from, `import { x } from '${to}';`);
    return one === undefined ? 'not read' : judge(one);
  };

  it.each([
    ['spiffe/id.ts', '../common/errors.ts'],
    ['server/ca/authorities.ts', '../../agent/agent.ts'],
    ['server/entries/entry-index.ts', '../../proto/gen/x.ts'],
    ['server/bundle/local-bundle.ts', '../ca/authorities.ts'],
    ['agent/cache/cache.ts', '../../proto/gen/x.ts'],
    ['agent/storage/storage.ts', '../sync/sync.ts'],
    ['plugins/key-manager/disk/disk.ts', '../../datastore/sql/sql.ts'],
    ['client/x509-source.ts', '../server/server.ts'],
    ['cli/server/entry-create.ts', '../../plugins/datastore/sql/sql.ts'],
    ['cli/server/entry-create.ts', '../../plugins/builtin.ts'],
    ['server/server.ts', '@grpc/grpc-js'],
    ['server/server.ts', '../cli/server.ts'],
  ])('refuses %s importing %s', (from, to) => {
    expect(judged(from, to)).toMatch(/ imports /);
  });

  it.each([
    ['server/api/svid/new-jwt-svid.ts', '../../../proto/gen/x.ts'],
    ['server/ca/authorities.ts', '../bundle/local-bundle.ts'],
    ['common/rpc/server.ts', '@grpc/grpc-js'],
    ['cli/server/run.ts', '../../plugins/builtin.ts'],
    ['plugins/datastore/sql/sqlite/open.ts', '../entries.ts'],
  ])('allows %s importing %s', (from, to) => {
    expect(judged(from, to)).toBeUndefined();
  });

  it('finds a cycle and names it', () => {
    const cycle = findCycle([
      ...importsOf('a/x.ts', "import { y } from './y.ts';"),
      ...importsOf('a/y.ts', "export { x } from './z.ts';"),
      ...importsOf('a/z.ts', "import { x } from './x.ts';"),
    ]);
    expect(cycle).toEqual(['a/x.ts', 'a/y.ts', 'a/z.ts', 'a/x.ts']);
  });

  it('does not count types as a cycle, and reads imports over several lines', () => {
    const text = "import type {\n  A,\n  B,\n} from './b.ts';\nimport './c.ts';\nconst d = await import('./d.ts');\n";
    expect(importsOf('a.ts', text)).toEqual([
      { from: 'a.ts', to: 'b.ts', typeOnly: true },
      { from: 'a.ts', to: 'c.ts', typeOnly: false },
      { from: 'a.ts', to: 'd.ts', typeOnly: false },
    ]);
    expect(
      findCycle([...importsOf('a.ts', text), ...importsOf('b.ts', "import { a } from './a.ts';")]),
    ).toBeUndefined();
  });
});
