import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { freePort } from '../support/daemons.ts';
import { crashLoop } from './crash-loop.ts';
import { hostileClients } from './hostile-clients.ts';
import { leakHunt } from './leaks.ts';

const DEFAULT_MINUTES = 10;
const SECOND = 1000;

const USAGE = `usage: npm run soak -- [-minutes N] [-only NAME,NAME] [-seed N] [-list] [-keep] [-no-kills] [-ca-ttl SECONDS]
  -minutes   for all scenarios together, ${DEFAULT_MINUTES} by default
  -only      some scenarios
  -seed      makes the choices of another run again, though not at the same moments; random by default, and printed
  -list      the names of the scenarios
  -keep      keeps the folder of the run; without it only that of a run with findings is kept
  -no-kills  crash-loop: load and checker alone, for faults by somebody else's hand: server.pid and agent.pid in the folder
             name the processes, whatever ends is started again, and everything is read back every two seconds
  -ca-ttl    crash-loop: how long an authority is valid; the next one is made after half of it (60)

Each scenario ends with a line "soak NAME: ok: ..." or "soak NAME: FAILED: ..."; the exit code is 1 when one failed, 2 when
the flags were wrong, and more than 128 after a signal.`;

interface Options {
  minutes: number;
  only: readonly string[] | undefined;
  seed: number;
  isList: boolean;
  keeps: boolean;
  kills: boolean;
  caTtl: number;
}

/** What a scenario came to. */
interface Verdict {
  readonly ok: boolean;
  readonly summary: string;
}

/** One scenario; `milliseconds` is its share of the time. */
type Scenario = (options: Options, milliseconds: number, folder: string) => Promise<Verdict>;

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'crash-loop': async ({ caTtl, kills, seed }, milliseconds, folder) => {
    const result = await crashLoop({ folder, port: await freePort(), seed, milliseconds, kills, caTtl, say });
    const count = (word: string): number => result.findings.filter((finding) => finding.includes(word)).length;
    const summary = [
      `${result.writes} writes acknowledged and ${result.unanswered} not`,
      `${result.serials} serials`,
      `${result.tokens} JWT-SVIDs`,
      `${result.fetches} fetches`,
      `${result.kills} kills`,
      `${result.rotations.x509} CA and ${result.rotations.jwt} JWT key rotations`,
      `${result.reattestations} agents too late to renew`,
      `${count('lost')} lost`,
      `${count('doubled')} doubled`,
    ];
    return { ok: result.findings.length === 0, summary: summary.join(', ') };
  },
  'hostile-clients': async (_options, durationMs, folder) => {
    const { attacks, failures, rounds } = await hostileClients({ folder, durationMs, print: say });
    const worst = Math.round(Math.max(0, ...attacks.map(({ p99Ms }) => p99Ms)));
    const summary = `${rounds} rounds, ${attacks.length} attacks, bystanders' p99 at worst ${worst} ms, ${failures.length} failures`;
    return { ok: failures.length === 0, summary };
  },
  leaks: async (_options, milliseconds, folder) => {
    const rotations = Math.max(1, Math.floor(milliseconds / MS_PER_ROTATION));
    const { findings } = await leakHunt({ folder, rotations, say });
    return { ok: findings.length === 0, summary: `${rotations} rotations, ${findings.join('; ') || 'nothing grew'}` };
  },
};

/** About what one takes with the times of the leak hunt. */
const MS_PER_ROTATION = 2000;

function say(line: string): void {
  console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);
}

function readOptions(args: readonly string[]): Options | undefined {
  const options: Options = {
    minutes: DEFAULT_MINUTES,
    only: undefined,
    seed: Math.floor(Math.random() * 2 ** 31),
    isList: false,
    keeps: false,
    kills: true,
    caTtl: 60,
  };
  const left = [...args];
  for (let arg = left.shift(); arg !== undefined; arg = left.shift()) {
    if (arg === '-only') options.only = (left.shift() ?? '').split(',');
    else if (arg === '-seed') options.seed = Number(left.shift());
    else if (arg === '-minutes') options.minutes = Number(left.shift());
    else if (arg === '-ca-ttl') options.caTtl = Number(left.shift());
    else if (arg === '-list') options.isList = true;
    else if (arg === '-keep') options.keeps = true;
    else if (arg === '-no-kills') options.kills = false;
    else return undefined;
  }
  const isUsable = Number.isInteger(options.seed) && options.minutes > 0 && options.caTtl >= 20;
  return isUsable ? options : undefined;
}

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options === undefined) {
    console.error(USAGE);
    return args.includes('-help') || args.includes('--help') ? 0 : 2;
  }
  const all = Object.keys(SCENARIOS);
  if (options.isList) {
    console.log(all.join('\n'));
    return 0;
  }
  const names = options.only ?? all;
  const unknown = names.filter((name) => SCENARIOS[name] === undefined);
  if (unknown.length > 0) {
    console.error(`no scenario ${unknown.join(', ')}; one of: ${all.join(', ')}`);
    return 2;
  }
  console.log(`seed ${options.seed}`);
  let failed = 0;
  for (const name of names) {
    if (!(await runScenario(name, options, (options.minutes * 60 * SECOND) / names.length))) failed += 1;
  }
  return failed === 0 ? 0 : 1;
}

async function runScenario(name: string, options: Options, milliseconds: number): Promise<boolean> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'soak-'));
  console.log(`${name} in ${folder}`);
  running = name;
  const verdict = await verdictOf(name, options, milliseconds, folder);
  running = undefined;
  console.log(`soak ${name}: ${verdict.ok ? 'ok' : 'FAILED'}: ${verdict.summary}`);
  if (verdict.ok && !options.keeps) rmSync(folder, { recursive: true });
  else console.log(`seed ${options.seed}; the folder ${folder} is kept`);
  return verdict.ok;
}

async function verdictOf(name: string, options: Options, milliseconds: number, folder: string): Promise<Verdict> {
  try {
    return (await SCENARIOS[name]?.(options, milliseconds, folder)) ?? { ok: false, summary: 'no such scenario' };
  } catch (error) {
    return { ok: false, summary: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/** The scenario that has not come to a verdict yet. */
let running: string | undefined;

/** However this process ends, a scenario that was not over gets its line: a run without a verdict says nothing. */
function alwaysEndWithVerdict(): void {
  let why = 'nothing was left to wait for, before the end';
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      why = `interrupted by ${signal}; no finding until then`;
      process.exit(128 + os.constants.signals[signal]);
    });
  }
  // Of rejections that nobody handles, too.
  process.once('uncaughtException', (error) => {
    why = error.stack ?? error.message;
    process.exit(1);
  });
  process.once('exit', () => {
    if (running !== undefined) console.log(`soak ${running}: FAILED: ${why}`);
  });
}

/** What keeps the process then was left behind by a scenario, and is named. */
const LEAVING_MS = 10_000;

alwaysEndWithVerdict();
process.exitCode = await main(process.argv.slice(2));
setTimeout(() => {
  console.error(`left behind: ${process.getActiveResourcesInfo().join(', ')}`);
  process.exit();
}, LEAVING_MS).unref();
