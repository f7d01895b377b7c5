import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { nameOf } from './corpus.ts';
import { instrumentAll } from './instrument.ts';
import type { Order, Report, TargetSummary } from './report.ts';
import { newWatch, watched } from './watch.ts';

/** How long one execution may take before it counts as one that never ends. */
const HANG = 20_000;
/** Of the thread that fuzzes; no input of at most 128 KB needs more. */
const MAX_HEAP_MB = 1024;
const DEFAULT_SECONDS = 60;

const USAGE = `usage: npm run fuzz -- [SECONDS] [-only NAME,NAME] [-seed N] [-list] [-guided] [-keep]
  SECONDS  for all targets together, ${DEFAULT_SECONDS} by default
  -only    some targets
  -seed    repeats a run; random by default, and printed
  -list    the names of the targets
  -guided  keeps inputs for the places that they pass too, and not only for what comes of them
  -keep    keeps inputs that show something new in test/fuzz/corpus, and drops those that show nothing`;

interface Options {
  seconds: number;
  only: readonly string[] | undefined;
  seed: number;
  isList: boolean;
  isGuided: boolean;
  keeps: boolean;
}

function readOptions(args: readonly string[]): Options | undefined {
  const options: Options = {
    seconds: DEFAULT_SECONDS,
    only: undefined,
    seed: Math.floor(Math.random() * 2 ** 31),
    isList: false,
    isGuided: false,
    keeps: false,
  };
  const left = [...args];
  for (let arg = left.shift(); arg !== undefined; arg = left.shift()) {
    if (arg === '-only') options.only = (left.shift() ?? '').split(',');
    else if (arg === '-seed') options.seed = Number(left.shift());
    else if (arg === '-list') options.isList = true;
    else if (arg === '-guided') options.isGuided = true;
    else if (arg === '-keep') options.keeps = true;
    else if (/^\d+$/.test(arg)) options.seconds = Number(arg);
    else return undefined;
  }
  return Number.isInteger(options.seed) ? options : undefined;
}

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options === undefined) {
    console.error(USAGE);
    return 2;
  }
  // This file is below dist/fuzz/plain/test/fuzz; the counted copies of all of it are beside `plain`.
  const plain = path.resolve(import.meta.dirname, '../..');
  const counted = path.resolve(plain, '../counted');
  const root = path.resolve(plain, '../../..');
  await instrumentAll(plain, counted);
  const { TARGETS } = await import('./targets.ts');
  const all = TARGETS.map(({ name }) => name);
  if (options.isList) console.log(all.join('\n'));
  const unknown = options.only?.filter((name) => !all.includes(name)) ?? [];
  if (unknown.length > 0) {
    console.error(`no target ${unknown.join(', ')}; one of: ${all.join(', ')}`);
    return 2;
  }
  if (options.isList) return 0;
  return run(options, options.only ?? all, { root, worker: path.join(counted, 'test/fuzz/worker.js') });
}

async function run(
  { seconds, seed, isGuided, keeps }: Options,
  names: readonly string[],
  places: { readonly root: string; readonly worker: string },
): Promise<number> {
  console.log(`seed ${seed}, ${names.length} targets, ${(seconds / names.length).toFixed(1)} s each`);
  const order: Order = {
    names,
    seed,
    millisecondsEach: (seconds * 1000) / names.length,
    corpus: path.join(places.root, 'test/fuzz/corpus'),
    isGuided,
    keeps,
    shared: newWatch(),
  };
  const reports = await fuzzInThread(order, places.worker);
  let executions = 0;
  for (const report of reports) {
    if ('summary' in report) executions += report.summary.executions;
    else return failed(report, seed, places.root);
  }
  console.log(`fuzz ok: ${names.length} targets, ${executions} executions`);
  return 0;
}

/** Until all targets are through, or one has a finding: an input that never ends or needs too much memory is one too. */
function fuzzInThread(order: Order, file: string): Promise<Report[]> {
  const worker = new Worker(file, { workerData: order, resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB } });
  const watch = watched(order.shared);
  const reports: Report[] = [];
  const current = (): string => order.names[reports.length] ?? '';
  return new Promise((resolve) => {
    let count = -1;
    let since = Date.now();
    const end = (problem?: string): void => {
      clearInterval(timer);
      const last = reports.at(-1);
      if (problem !== undefined && (last === undefined || 'summary' in last)) {
        reports.push({ finding: { target: current(), input: watch.input(), problem } });
      }
      resolve(reports);
    };
    const timer = setInterval(() => {
      if (watch.count() !== count) [count, since] = [watch.count(), Date.now()];
      else if (Date.now() - since > HANG) {
        end(`no end after ${HANG / 1000} s`);
        void worker.terminate();
      }
    }, 1000);
    worker.on('message', (report: Report) => {
      reports.push(report);
      if ('summary' in report) print(report.summary);
      else void worker.terminate();
    });
    worker.on('error', (error) => end(error.stack ?? error.message));
    worker.on('exit', (code) => end(code === 0 ? undefined : `the thread ended with ${code}`));
  });
}

function print({ target, executions, milliseconds, corpus, found, slowest, places }: TargetSummary): void {
  const perSecond = Math.round((executions * 1000) / milliseconds);
  const columns = [
    target.padEnd(18),
    `${executions} executions`.padStart(20),
    `${perSecond}/s`.padStart(10),
    `corpus ${corpus}`.padStart(11),
    `${found} new`.padStart(10),
    `slowest ${slowest.toFixed(1)} ms`.padStart(18),
    places === 0 ? '' : `${places} places`.padStart(12),
  ];
  console.log(columns.join('  '));
}

function failed({ finding }: Extract<Report, { finding: unknown }>, seed: number, root: string): number {
  const input = Buffer.from(finding.input);
  const folder = path.join(root, '.cache/fuzz');
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${finding.target}-${nameOf(input)}`);
  writeFileSync(file, input);
  console.error(`${finding.target}: ${finding.problem}`);
  console.error(`input (${input.length} bytes): ${path.relative(process.cwd(), file)}`);
  console.error(`repeat: npm run fuzz -- -only ${finding.target} -seed ${seed}`);
  return 1;
}

process.exitCode = await main(process.argv.slice(2));
