import { closest } from '../config/problems.ts';
import { messageOf } from '../errors.ts';
import { type Flags, type ParsedFlags, parseFlags, type ValuesOf } from './flags.ts';
import { commandHelp, groupHelp, type HelpPage, overview, subcommandsOf } from './help.ts';

/** What a command sees of the world. */
export interface CommandIo {
  /** To standard output, as it is. */
  out(text: string): void;
  /** To standard error, as it is. */
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: AsyncIterable<Buffer | string>;
  /** Relative paths begin here. */
  readonly cwd: string;
}

/** One command: what its help says, its flags, and what it does. */
export interface Command<F extends Flags = Flags> extends HelpPage {
  /** Words, such as `entry create`. */
  readonly name: string;
  readonly flags: F;
  /** Set when words behind the flags mean something to it; otherwise they are reported as ignored. */
  readonly takesArguments?: boolean;
  /** Set when its errors are printed without `Error: ` before them, as the reference prints this command's. */
  readonly bareErrors?: boolean;
  /** Resolves to the exit code; what it throws is printed and makes the exit code 1. */
  run(values: ValuesOf<F>, io: CommandIo, parsed: ParsedFlags<F>): Promise<number>;
}

/** Infers the types of the flags. */
export function defineCommand<const F extends Flags>(command: Command<F>): Command {
  return command;
}

/** A program: its name and its commands. */
export interface Cli {
  /** The name of the program, such as `spire-server`. */
  readonly name: string;
  /** Printed for `--version`. */
  readonly version: string;
  readonly commands: readonly Command[];
  /** What groups such as `entry` are about, for the list of commands. */
  readonly groups?: Readonly<Record<string, string>>;
}

/** Exit code for no command and for one that does not exist, as of the reference's CLI. */
const NO_SUCH_COMMAND = 127;

/**
 * Runs the command that `argv` names: the one with the most words in front of the first flag.
 *
 * @param argv without the interpreter and the program
 * @returns the exit code
 */
export async function runCli(cli: Cli, argv: readonly string[], io: CommandIo): Promise<number> {
  const line = readLine(cli, argv);
  if (line.version) return print(io, `${cli.version}\n`, 0);
  if (line.words === undefined) return print(io, overview(cli), line.help ? 0 : NO_SUCH_COMMAND);
  const { words } = line;
  const command = cli.commands.find(({ name }) => name === words);
  const group = subcommandsOf(cli.commands, words).length > 0;
  // `entry create` as one word is no command: the words of a line are told apart by the shell.
  if (line.quoted || (command === undefined && !group))
    return print(io, unknownCommand(cli, words) + overview(cli), NO_SUCH_COMMAND);
  const help = command === undefined ? groupHelp(cli, words) : commandHelp(cli, command);
  if (line.help) return print(io, help, 0);
  if (line.misplaced.length > 0) {
    return print(io, `${line.misplaced.join(' ')}: flags of a command must follow it\n\n${help}`, 1);
  }
  return command === undefined ? print(io, help, 1) : runCommand(command, help, line.rest, io);
}

async function runCommand(command: Command, help: string, argv: readonly string[], io: CommandIo): Promise<number> {
  let parsed: ParsedFlags<Flags> | 'help';
  try {
    parsed = parseFlags(command.flags, argv);
  } catch (error) {
    return print(io, `${messageOf(error)}\n${help}`, 1);
  }
  if (parsed === 'help') return print(io, help, 1);
  if (parsed.rest.length > 0 && command.takesArguments !== true) {
    const first = JSON.stringify(parsed.rest[0]);
    io.err(
      `warning: ignored from ${first} on: flags end at the first word without a dash (booleans are given as -x=false)\n`,
    );
  }
  try {
    return await command.run(parsed.values, io, parsed);
  } catch (error) {
    return print(io, `${command.bareErrors === true ? '' : 'Error: '}${messageOf(error)}\n`, 1);
  }
}

function print(io: CommandIo, text: string, code: number): number {
  io.err(text);
  return code;
}

interface Line {
  readonly help: boolean;
  readonly version: boolean;
  /** The longest known name that the words begin with, or the first word when none is; undefined without words. */
  readonly words: string | undefined;
  /** Whether a word has a space in it. */
  readonly quoted: boolean;
  /** Flags before the words. */
  readonly misplaced: readonly string[];
  readonly rest: readonly string[];
}

const HELP: readonly string[] = ['-h', '-help', '--help'];
const VERSION: readonly string[] = ['-v', '-version', '--version'];

function readLine(cli: Cli, argv: readonly string[]): Line {
  const end = argv.indexOf('--');
  const before = end === -1 ? argv : argv.slice(0, end);
  const help = before.some((word) => HELP.includes(word));
  const start = before.findIndex((word) => word !== '' && !word.startsWith('-'));
  const leading = start === -1 ? before : before.slice(0, start);
  const version = leading.some((word) => VERSION.includes(word));
  const misplaced = leading.filter((word) => word !== '' && !HELP.includes(word) && !VERSION.includes(word));
  if (start === -1) return { help, version, words: undefined, quoted: false, misplaced, rest: [] };
  const words = commandWords(cli, before.slice(start));
  const quoted = words.some((word) => word.includes(' '));
  return { help, version, words: words.join(' '), quoted, misplaced, rest: argv.slice(start + words.length) };
}

/** The most of the words in front of the first flag that name a command or a group; the first word when none do. */
function commandWords(cli: Cli, argv: readonly string[]): readonly string[] {
  const flag = argv.findIndex((word) => word.startsWith('-') || word.includes(' '));
  const words = flag === -1 ? argv : argv.slice(0, flag);
  for (let count = Math.min(words.length, 5); count > 1; count -= 1) {
    const name = words.slice(0, count).join(' ');
    if (cli.commands.some((command) => command.name === name || command.name.startsWith(`${name} `))) {
      return words.slice(0, count);
    }
  }
  return argv.slice(0, 1);
}

function unknownCommand(cli: Cli, words: string): string {
  const names = new Set(cli.commands.flatMap(({ name }) => [name, name.split(' ')[0] ?? name]));
  const near = closest(words, names);
  const hint = near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`;
  return `unknown command ${JSON.stringify(words)}${hint}\n\n`;
}
