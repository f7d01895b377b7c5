import { statSync } from 'node:fs';
import { bool, defineFlags, flagUsage, parseFlags, text } from '../../common/cli/flags.ts';
import { FinialError } from '../../common/errors.ts';
import { parseTarget, type TargetAddress } from './target/parse.ts';

const flags = defineFlags({
  json: text('', 'File that gets one JSON line per row and target'),
  only: text('', 'Names of rows, separated by commas; an asterisk stands for anything'),
  list: bool('Name the rows and end'),
  target: text(
    '',
    'What to measure; our own programs unless told. Either bin=DIR, to start spire-server and spire-agent of that folder\n' +
      'on files of their own; or what runs already, as server=HOST:PORT (the agent-facing API), admin=SOCKET (socket_path\n' +
      'of the server, to make entries and join tokens) and, for rows of an agent, agent=SOCKET (socket_path of the agent).\n' +
      'The keys may be left out: 127.0.0.1:8081,/tmp/server.sock,/tmp/agent.sock. name=TEXT is a label for the output',
  ),
  against: text('', 'A second target; rounds alternate between both, and ratios are printed'),
  duration: text('', 'Seconds of a measured window (default 3)'),
  rounds: text('', 'How often each row is measured (default 1, with -against 5)'),
  keep: bool('Leave the 100,000 seeded entries on a server that runs already, for the next run'),
  quick: bool('Tiny sizes and windows, to see that everything works; the numbers mean nothing'),
});

/** What a run of the bench does. */
export interface BenchOptions {
  readonly json: string;
  readonly list: boolean;
  /** Whether seeded entries stay on a server that ran before. */
  readonly keep: boolean;
  /** Whether a row of this name is wanted. */
  readonly wants: (name: string) => boolean;
  /** One target, or two to compare. */
  readonly targets: readonly TargetAddress[];
  readonly seconds: number;
  readonly rounds: number;
  readonly shrink: number;
}

const DEFAULT_SECONDS = 3;
const QUICK_SECONDS = 0.3;
const QUICK_SHRINK = 100;
const ROUNDS_OF_A_COMPARISON = 5;

export const USAGE = `usage: npm run bench -- [flags]
${flagUsage(flags)}
A server and an agent that run already are measured with what they hold: rows that need seeded entries make them through
the admin API, and all that was made is taken away at the end (not by Ctrl-C, but by the next run). Their rate limits have
to be off (server.conf, ratelimit: attestation and signing), join_token has to be among the node attestors, unix among the
workload attestors, and this process has to see theirs in /proc and may use both sockets. Rows that start programs are skipped then, with the reason.
Exit codes: 0 all well; 1 a row had errors, wrong answers or could not be measured; 2 wrong flags, or nobody at an address.`;

/**
 * @param names of all rows, to refuse a selection that finds none
 * @returns 'help' when that was asked for
 * @throws FinialError `invalid-argument`
 */
export function readOptions(argv: readonly string[], names: readonly string[], ownBin: string): BenchOptions | 'help' {
  const parsed = parseFlags(flags, argv);
  if (parsed === 'help') return 'help';
  const { values, rest, given } = parsed;
  for (const name of ['target', 'against', 'json', 'only', 'duration', 'rounds'] as const) {
    // An empty variable of a shell must not measure something else than was meant.
    if (given.has(name) && values[name] === '') throw invalid(`-${name} is empty`);
  }
  if (rest.length > 0) throw invalid(`unexpected argument ${rest[0]}`);
  const wants = selection(values.only, names);
  const targets = [values.target === '' ? { label: 'finial', bin: ownBin } : parseTarget(values.target, isSocket)];
  if (values.against !== '') targets.push(parseTarget(values.against, isSocket));
  return {
    json: values.json,
    list: values.list,
    keep: values.keep,
    ...{ wants, targets },
    seconds: positive('duration', values.duration, values.quick ? QUICK_SECONDS : DEFAULT_SECONDS),
    rounds: whole('rounds', values.rounds, targets.length > 1 ? ROUNDS_OF_A_COMPARISON : 1),
    shrink: values.quick ? QUICK_SHRINK : 1,
  };
}

function selection(only: string, names: readonly string[]): (name: string) => boolean {
  if (only === '') return () => true;
  const patterns = only.split(',').map((one) => {
    const pattern = new RegExp(
      `^${one
        .split('*')
        .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
        .join('.*')}$`,
    );
    if (!names.some((name) => pattern.test(name))) throw invalid(`no row is called ${one}; -list names them`);
    return pattern;
  });
  return (name) => patterns.some((pattern) => pattern.test(name));
}

function positive(name: string, value: string, initial: number): number {
  if (value === '') return initial;
  const number = Number(value);
  if (!(number > 0)) throw invalid(`-${name}: ${value} is not a positive number`);
  return number;
}

function whole(name: string, value: string, initial: number): number {
  const number = positive(name, value, initial);
  if (!Number.isSafeInteger(number)) throw invalid(`-${name}: ${value} is not a whole number`);
  return number;
}

function isSocket(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isSocket() === true;
}

function invalid(message: string): FinialError {
  return new FinialError('invalid-argument', message);
}
