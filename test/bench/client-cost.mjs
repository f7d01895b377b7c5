// What it costs a program to use the client library: `node test/bench/client-cost.mjs`, after `npm run build`. Each number is
// the median of fresh processes; a process that imports nothing is the first row.
import { spawn, spawnSync } from 'node:child_process';
import path from 'node:path';

const RUNS = 15;
const dist = path.resolve(import.meta.dirname, '../../dist/client');

/** Programs that do a little more each, as bodies of modules. */
const PROGRAMS = {
  nothing: '',
  'import finial/client': `await import('${dist}/index.js');`,
};

/** The source needs an agent; it runs in a process of its own, so that its memory is not counted. */
const AGENT = `
  import { createFakeWorkloadApi } from '${dist}/testing/index.js';
  const fake = await createFakeWorkloadApi();
  await fake.issue('spiffe://example.org/web');
  console.log(fake.address);`;

const REPORT = `
  const ms = performance.now() - started;
  globalThis.gc();
  await new Promise((resolve) => setTimeout(resolve, 200));
  console.log(JSON.stringify({ ms, rss: process.memoryUsage().rss / 1e6, heap: process.memoryUsage().heapUsed / 1e6 }));
  process.exit();`;

function measure(body, env = {}) {
  const script = `const started = performance.now();\n${body}\n${REPORT}`;
  const args = ['--expose-gc', '--input-type=module', '-e', script];
  const runs = Array.from({ length: RUNS }, () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout);
  });
  const median = (name) => runs.map((run) => run[name]).sort((a, b) => a - b)[RUNS >> 1];
  return { ms: median('ms'), rss: median('rss'), heap: median('heap') };
}

const agent = spawn(process.execPath, ['--input-type=module', '-e', AGENT], { stdio: ['ignore', 'pipe', 'inherit'] });
const address = await new Promise((resolve) => agent.stdout.once('data', (line) => resolve(String(line).trim())));
PROGRAMS['import, and one idle source'] = `
  const { createX509Source } = await import('${dist}/index.js');
  const source = await createX509Source({ address: '${address}' });`;

console.log(`Node ${process.version}, median of ${RUNS} processes`);
for (const [name, body] of Object.entries(PROGRAMS)) {
  const { ms, rss, heap } = measure(body);
  console.log(
    `${name.padEnd(30)} ${ms.toFixed(0).padStart(4)} ms  ${rss.toFixed(1).padStart(6)} MB RSS  ${heap.toFixed(1).padStart(5)} MB heap`,
  );
}
agent.kill();
