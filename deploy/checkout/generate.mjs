// Generates the TypeScript types below proto/gen from the .proto files the product speaks, then builds and generates
// docs/reference from the product; `--check` only compares. Plain JavaScript on purpose: the types come before a build.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { referencePages } from './reference.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/**
 * Folder below proto/gen, and the .proto files whose types (and those they import) go there. Files without a package
 * must not share one: their global names would land on each other. What is stored stands apart from what is spoken.
 */
const outputs = {
  '.': [
    'finial/agent/v1/changes.proto',
    'google/rpc/status.proto',
    'grpc/health/v1/health.proto',
    'grpc/reflection/v1/reflection.proto',
    'grpc/reflection/v1alpha/reflection.proto',
    'spire/agent/debug/v1/debug.proto',
    'spire/api/agent/delegatedidentity/v1/delegatedidentity.proto',
    'spire/api/agent/logger/v1/logger.proto',
    'spire/api/server/agent/v1/agent.proto',
    'spire/api/server/bundle/v1/bundle.proto',
    'spire/api/server/debug/v1/debug.proto',
    'spire/api/server/entry/v1/entry.proto',
    'spire/api/server/localauthority/v1/localauthority.proto',
    'spire/api/server/logger/v1/logger.proto',
    'spire/api/server/svid/v1/svid.proto',
    'spire/api/server/trustdomain/v1/trustdomain.proto',
    'spire/api/types/status.proto',
  ],
  workload: ['workload.proto'],
  storage: ['private/server/journal/journal.proto', 'spire/common/common.proto'],
};

/** These must equal the options of common/rpc/definitions.ts, which loads the same files at run time. */
const shape = ['--keepCase', '--longs=String', '--enums=String', '--defaults', '--oneofs'];

/** Writes all types below `target`, one run per .proto file so that each is resolved in a root of its own. */
function generate(target) {
  const tool = path.join(root, 'node_modules/@grpc/proto-loader/build/bin/proto-loader-gen-types.js');
  for (const [folder, files] of Object.entries(outputs)) {
    for (const file of files) {
      const output = path.join(target, folder);
      const args = [...shape, '--includeDirs=proto', '--importFileExtension=.ts', `--outDir=${output}`, file];
      const result = spawnSync(process.execPath, [tool, ...args], { cwd: root, encoding: 'utf8' });
      if (result.status !== 0) throw new Error(`${file}: ${result.stderr || result.error?.message}`);
    }
  }
  for (const [file, text] of contents(target)) writeFileSync(path.join(target, file), readonlyLists(text));
}

/** Lists of messages to send become readonly, so that frozen values can be sent; only those fields are optional lists. */
function readonlyLists(text) {
  return text.replace(/^( {2}'\w+'\?: )(\(.*\)\[\];)$/gm, '$1readonly $2');
}

/** Every file below `dir` by its relative path, with its text. */
function contents(dir) {
  if (!existsSync(dir)) return new Map();
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map((entry) => {
      const file = path.join(entry.parentPath ?? entry.path, entry.name);
      return [path.relative(dir, file), readFileSync(file, 'utf8')];
    }),
  );
}

/** Makes the files of `folder` those of `want`, or with `--check` says where they are not. */
function settle(folder, want) {
  const have = contents(path.join(root, folder));
  const differing = [...new Set([...have.keys(), ...want.keys()])]
    .filter((file) => have.get(file) !== want.get(file))
    .toSorted((a, b) => (a < b ? -1 : 1));
  if (differing.length === 0) return;
  if (process.argv.includes('--check')) {
    for (const file of differing)
      console.error(`${folder}/${file} is not what its source gives; run: npm run generate`);
    process.exitCode = 1;
    return;
  }
  for (const file of differing) {
    const target = path.join(root, folder, file);
    const text = want.get(file);
    if (text === undefined) rmSync(target);
    else {
      mkdirSync(path.dirname(target), { recursive: true });
      writeFileSync(target, text);
    }
  }
  console.log(`${folder}: ${differing.length} files changed, ${want.size} in all`);
}

const scratch = mkdtempSync(path.join(tmpdir(), 'finial-generate-'));
try {
  generate(scratch);
  settle('proto/gen', contents(scratch));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

const built = spawnSync(process.execPath, ['deploy/checkout/run.mjs', 'build'], { cwd: root, stdio: 'inherit' });
if (built.status === 0) settle('docs/reference', await referencePages());
else process.exitCode = 1;
