// Runs one of the project's tasks from a bare checkout: installs and builds what is missing first, then the task.
// Plain JavaScript on purpose: it must run before anything is installed. `npm run demo` and `npm test` start here.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createHash } from 'node:crypto';

const root = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../..');
const at = (...parts) => path.join(root, ...parts);

/** Runs a command in the checkout and ends this process with its exit code when it fails. */
function must(command, args, { env = {}, quiet = false } = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit',
    encoding: 'utf8',
  });
  if (result.error) {
    console.error(`cannot run ${command}: ${result.error.message}`);
    process.exit(1);
  }
  if (result.status !== 0) {
    if (quiet) process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
    console.error(`failed: ${[command, ...args].join(' ')}`);
    process.exit(result.status ?? 1);
  }
}

const digest = (text) => createHash('sha256').update(text).digest('hex');
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

/**
 * The native module is compiled here against the headers beside the running Node, so that no download outside the
 * registry is needed; without such headers node-gyp falls back to fetching them.
 */
function nodeHeaders() {
  const prefix = path.resolve(path.dirname(process.execPath), '..');
  return existsSync(path.join(prefix, 'include/node/node.h')) ? { npm_config_nodedir: prefix } : {};
}

/** Does `work` unless a file beside the packages says that it was done for the same `want`. */
function once(name, want, work) {
  const stamp = at('node_modules', name);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === want) return;
  work();
  writeFileSync(stamp, want);
}

/** Node.js 24 and newer are used with the SQLite inside them (plugins/datastore/sql/sqlite/connection.ts). */
const sqliteInside = Number.parseInt(process.versions.node, 10) >= 24;

function install() {
  const lock = readFileSync(at('package-lock.json'), 'utf8');
  once('.finial-installed', digest(lock + process.arch), () => {
    console.error('installing dependencies (once) ...');
    must(npm, ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
      env: { NODE_ENV: 'development' },
    });
  });
  if (sqliteInside) return;
  once('.finial-sqlite', digest(lock + process.arch + process.versions.modules), () => {
    console.error('compiling the SQLite module (once; it takes about a minute) ...');
    must(npm, ['rebuild', 'better-sqlite3', '--loglevel=error'], {
      quiet: true,
      env: { ...nodeHeaders(), npm_config_build_from_source: 'true', npm_config_ignore_scripts: 'false' },
    });
    // What the compiler left beside the module is half of the folder's size.
    for (const left of ['obj', 'obj.target', '.deps', 'test_extension.node']) {
      rmSync(at('node_modules/better-sqlite3/build/Release', left), { recursive: true, force: true });
    }
  });
}

/** Newest modification time below the source folders, to see whether dist/ is older than its sources. */
function newest(dir) {
  let latest = 0;
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const file = path.join(dir, entry.name);
    if (entry.isDirectory()) latest = Math.max(latest, newest(file));
    else if (/\.(ts|json|proto)$/.test(entry.name)) latest = Math.max(latest, statSync(file).mtimeMs);
  }
  return latest;
}

const sources = ['spiffe', 'common', 'plugins', 'server', 'agent', 'client', 'cli', 'proto', 'deploy'];

function build({ always = false } = {}) {
  const stamp = at('dist/.built');
  const latest = Math.max(
    ...sources.filter((dir) => existsSync(at(dir))).map((dir) => newest(at(dir))),
    statSync(at('tsconfig.build.json')).mtimeMs,
  );
  if (!always && existsSync(stamp) && statSync(stamp).mtimeMs >= latest) return;
  must('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json']);
  writeFileSync(stamp, '');
}

const tasks = {
  install: () => install(),
  build: () => {
    install();
    build({ always: true });
  },
  demo: (args) => {
    install();
    build();
    must(process.execPath, ['dist/deploy/examples/demo/demo.js', ...args]);
  },
  test: (args) => {
    install();
    build();
    must('node_modules/.bin/vitest', ['run', ...args]);
  },
  conformance: (args) => {
    install();
    build();
    must(process.execPath, ['test/conformance/report.mjs', ...args]);
  },
  check: () => {
    install();
    must('node_modules/.bin/tsc', ['-p', 'tsconfig.json', '--noEmit']);
    must('node_modules/.bin/oxlint', ['--type-aware', '--deny-warnings']);
    must('node_modules/.bin/biome', ['ci', '.']);
    must('node_modules/.bin/knip', []);
    must(process.execPath, ['deploy/checkout/generate.mjs', '--check']);
  },
  bench: (args) => {
    install();
    build();
    must('node_modules/.bin/tsc', ['-p', 'test/bench/tsconfig.json']);
    must(process.execPath, ['--enable-source-maps', 'dist/bench/test/bench/main.js', ...args]);
  },
  fuzz: (args) => {
    install();
    // Compiled by itself: the counters of test/fuzz go into a copy, and nothing else is to run with them.
    must('node_modules/.bin/tsc', ['-p', 'test/fuzz/tsconfig.json']);
    must(process.execPath, ['--enable-source-maps', 'dist/fuzz/plain/test/fuzz/main.js', ...args]);
  },
  soak: (args) => {
    install();
    build();
    must('node_modules/.bin/tsc', ['-p', 'test/soak/tsconfig.json']);
    must(process.execPath, ['--enable-source-maps', '--expose-gc', 'dist/soak/test/soak/main.js', ...args]);
  },
  generate: () => {
    install();
    must(process.execPath, ['deploy/checkout/generate.mjs']);
  },
};

const [name = '', ...args] = process.argv.slice(2);
const task = tasks[name];
if (!task) {
  console.error(`unknown task "${name}"; one of: ${Object.keys(tasks).join(', ')}`);
  process.exit(2);
}
task(args);
