import { bool, defineFlags, flagUsage, parseFlags, text } from '../../common/cli/flags.ts';
import { FinialError } from '../../common/errors.ts';
import { parseTarget, type TargetAddress } from './target/parse.ts';

const flags = defineFlags({
  json: text('', 'File that gets one JSON line per row and target'),
  only: text('', 'Names of rows, separated by commas; an asterisk stands for anything'),
  list: bool('Name the rows and end'),
  target: text(
    '',
    'What to measure: bin=DIR starts spire-server and spire-agent of that folder; server=HOST:PORT,admin=SOCKET\n' +
      'and agent=SOCKET name what runs already; name=TEXT is a label. Our own programs unless told',
  ),
  against: text('', 'A second target; rounds alternate between both, and ratios are printed'),
  duration: text('', 'Seconds of a measured window (default 3)'),
  rounds: text('', 'How often each row is measured (default 1, with -against 5)'),
  quick: bool('Tiny sizes and windows, to see that everything works; the numbers mean nothing'),
});

/** What a run of the bench does. */
export interface BenchOptions {
  readonly json: string;
  readonly list: boolean;
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

export const USAGE = `usage: npm run bench -- [flags]\n${flagUsage(flags)}`;

/**
 * @param names of all rows, to refuse a selection that finds none
 * @returns 'help' when that was asked for
 * @throws FinialError `invalid-argument`
 */
export function readOptions(argv: readonly string[], names: readonly string[], ownBin: string): BenchOptions | 'help' {
  const parsed = parseFlags(flags, argv);
  if (parsed === 'help') return 'help';
  const { values, rest } = parsed;
  if (rest.length > 0) throw invalid(`unexpected argument ${rest[0]}`);
  const wants = selection(values.only, names);
  const targets = [values.target === '' ? { label: 'finial', bin: ownBin } : parseTarget(values.target)];
  if (values.against !== '') targets.push(parseTarget(values.against));
  return {
    json: values.json,
    list: values.list,
    ...{ wants, targets },
    seconds: positive('duration', values.duration, values.quick ? QUICK_SECONDS : DEFAULT_SECONDS),
    rounds: positive('rounds', values.rounds, targets.length > 1 ? ROUNDS_OF_A_COMPARISON : 1),
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

function invalid(message: string): FinialError {
  return new FinialError('invalid-argument', message);
}
