import { formatDuration, parseDuration } from '../config/duration.ts';
import { parseInteger } from '../config/integer.ts';
import { FinialError, messageOf } from '../errors.ts';
import { goQuote } from '../../spiffe/go-quote.ts';

/** A command line flag by the rules of Go's `flag` package. */
export interface Flag<T> {
  /** Shown behind the name in the usage text; empty for a boolean, which takes a value only as `-x=false`. */
  readonly type: 'string' | 'int' | 'duration' | 'value' | '';
  readonly help: string;
  readonly initial: T;
  /** The default as the usage text shows it; empty to show none. */
  readonly shown: string;
  /**
   * Reads one occurrence.
   *
   * @param before what the flag was set to by an earlier occurrence
   * @throws Error that says what is wrong, without the flag's name
   */
  parse(text: string, before: T | undefined): T;
}

/** Flags by name, without the dash. */
export type Flags = Readonly<Record<string, Flag<unknown>>>;
/** What `parseFlags` gives for a set of flags. */
export type ValuesOf<F extends Flags> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never };

/** Keeps the exact types of a table of flags. */
export function defineFlags<const F extends Flags>(flags: F): F {
  return flags;
}

/** A flag with a text; of several the last counts. */
export function text(initial: string, help: string): Flag<string> {
  return {
    type: 'string',
    help,
    initial,
    shown: initial === '' ? '' : goQuote(initial),
    parse: (value) => value,
  };
}

/** A flag with a whole number, in the notations of Go. */
export function int(initial: number, help: string): Flag<number> {
  return { type: 'int', help, initial, shown: initial === 0 ? '' : String(initial), parse: parseInt64 };
}

/** A flag that is true when given without a value; `-x=false` switches it off. */
export function bool(help: string, initial = false): Flag<boolean> {
  return { type: '', help, initial, shown: initial ? 'true' : '', parse: parseBool };
}

/** @param initial milliseconds, as its values are */
export function duration(initial: number, help: string): Flag<number> {
  const parse = (value: string): number => {
    try {
      return parseDuration(value);
    } catch (error) {
      throw new Error('parse error', { cause: error });
    }
  };
  return { type: 'duration', help, initial, shown: initial === 0 ? '' : formatDuration(initial), parse };
}

/** A flag that may be given more than once; each occurrence adds one text. */
export function repeated(help: string): Flag<readonly string[]> {
  return { type: 'value', help, initial: [], shown: '', parse: (value, before = []) => [...before, value] };
}

/** A flag read by a function of the caller's, which throws what is wrong. */
export function custom<T>(
  initial: T,
  help: string,
  parse: (text: string, before: T | undefined) => T,
  shown = '',
): Flag<T> {
  return { type: 'value', help, initial, shown, parse };
}

/** The values of `-output`. */
export type OutputFormat = 'pretty' | 'json';

/** The flag `-output` that commands of the APIs have. */
export function output(): Flag<OutputFormat> {
  return custom<OutputFormat>(
    'pretty',
    'How to print the result: pretty or json (pretty unless given)',
    (value, before) => {
      if (before !== undefined && before !== value) {
        throw new Error(`the output format has already been set to ${goQuote(before)}`);
      }
      const word = value.toLowerCase();
      if (word === 'json') return 'json';
      if (word === 'pretty' || word === 'prettyprint') return 'pretty';
      throw new Error(`bad formatter flag: unknown format option: ${goQuote(value)}`);
    },
  );
}

function parseInt64(value: string): number {
  const parsed = parseInteger(value);
  if (parsed === undefined) throw new Error('parse error');
  if (!Number.isSafeInteger(parsed)) throw new Error('value out of range');
  return parsed;
}

const TRUE: readonly string[] = ['1', 't', 'T', 'TRUE', 'true', 'True'];
const FALSE: readonly string[] = ['0', 'f', 'F', 'FALSE', 'false', 'False'];

function parseBool(value: string): boolean {
  if (TRUE.includes(value)) return true;
  if (FALSE.includes(value)) return false;
  throw new Error('parse error');
}

/** A command line taken apart. */
export interface ParsedFlags<F extends Flags> {
  readonly values: ValuesOf<F>;
  /** The flags that were given, whatever their value. */
  readonly given: ReadonlySet<keyof F & string>;
  /** What stands behind the flags: everything from the first word without a dash, or behind `--`. */
  readonly rest: readonly string[];
}

/**
 * Reads flags: `-x v`, `--x v`, `-x=v`, booleans only as `-x` and `-x=v`, until the first word that is no flag.
 *
 * @returns `'help'` when `-h` or `-help` was given and is not defined
 * @throws FinialError `invalid-argument` in the words of Go's `flag` package
 */
export function parseFlags<F extends Flags>(flags: F, argv: readonly string[]): ParsedFlags<F> | 'help' {
  const set = new Map<string, unknown>();
  let at = 0;
  for (; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    if (word.length < 2 || !word.startsWith('-')) break;
    if (word === '--') {
      at += 1;
      break;
    }
    const { name, value } = splitFlag(word);
    const flag = Object.hasOwn(flags, name) ? flags[name] : undefined;
    if (flag === undefined) {
      if (name === 'h' || name === 'help') return 'help';
      throw invalid(`flag provided but not defined: -${name}`);
    }
    if (value === undefined && flag.type !== '') at += 1;
    const given = value ?? (flag.type === '' ? 'true' : argv[at]);
    if (given === undefined) throw invalid(`flag needs an argument: -${name}`);
    set.set(name, parseOne(flag, name, given, set.get(name)));
  }
  const values = Object.fromEntries(Object.entries(flags).map(([name, flag]) => [name, set.get(name) ?? flag.initial]));
  // Each value was made by the flag of its name.
  return { values: values as ValuesOf<F>, given: new Set(set.keys()), rest: argv.slice(at) };
}

function splitFlag(word: string): { readonly name: string; readonly value: string | undefined } {
  const body = word.slice(word.startsWith('--') ? 2 : 1);
  if (/^[-=]|^$/.test(body)) throw invalid(`bad flag syntax: ${word}`);
  const equals = body.indexOf('=');
  if (equals === -1) return { name: body, value: undefined };
  return { name: body.slice(0, equals), value: body.slice(equals + 1) };
}

function parseOne(flag: Flag<unknown>, name: string, value: string, before: unknown): unknown {
  try {
    return flag.parse(value, before);
  } catch (error) {
    const what = flag.type === '' ? `boolean value ${goQuote(value)} for` : `value ${goQuote(value)} for flag`;
    throw invalid(`invalid ${what} -${name}: ${messageOf(error)}`);
  }
}

function invalid(message: string): FinialError {
  return new FinialError('invalid-argument', message);
}

/** One paragraph per flag in the order of their names, as Go prints defaults. Ends with a newline unless empty. */
export function flagUsage(flags: Flags): string {
  return sortedFlags(flags)
    .map(([name, { type, help, shown }]) => {
      const head = `  -${name}${type === '' ? '' : ` ${type}`}`;
      const separator = head.length <= 4 ? '\t' : '\n    \t';
      const tail = shown === '' ? '' : ` (default ${shown})`;
      return `${head}${separator}${help.replaceAll('\n', '\n    \t')}${tail}\n`;
    })
    .join('');
}

/** In the order of their code units, which for flag names is Go's. */
export function sortedFlags(flags: Flags): [string, Flag<unknown>][] {
  return Object.entries(flags).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
