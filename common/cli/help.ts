import { flagUsage, type Flags, sortedFlags } from './flags.ts';

/** What help and reference pages show of a command. */
export interface HelpPage {
  readonly name: string;
  /** One line for lists of commands. */
  readonly synopsis: string;
  /** More about it, shown above its flags. */
  readonly help?: string;
  readonly flags: Flags;
}

interface Overview {
  readonly name: string;
  readonly commands: readonly HelpPage[];
  readonly groups?: Readonly<Record<string, string>>;
}

/** The page of the program: its first words and what they do. */
export function overview(cli: Overview): string {
  const list = listing(subcommandsOf(cli.commands, ''), cli, '');
  return `Usage: ${cli.name} [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n${list}\n`;
}

/** The page of a word that only has commands below it. */
export function groupHelp(cli: Overview, words: string): string {
  const about = cli.groups?.[words];
  const subcommands = listing(subcommandsOf(cli.commands, words), cli, words);
  return `Usage: ${cli.name} ${words} <subcommand> [<args>]\n\n${about === undefined ? '' : `${about}\n\n`}Subcommands:\n${subcommands}`;
}

/** The page of a command: its flags, and commands that go on from its name. */
export function commandHelp(cli: Overview, command: HelpPage): string {
  const below = subcommandsOf(cli.commands, command.name);
  const subcommands = below.length === 0 ? '' : `\nSubcommands:\n${listing(below, cli, command.name)}`;
  const about = command.help === undefined ? '' : `${command.help}\n\n`;
  return `${about}Usage of ${command.name}:\n${flagUsage(command.flags)}${subcommands}`;
}

/** The next words after `prefix` of the commands that begin with it, in order. */
export function subcommandsOf(commands: readonly HelpPage[], prefix: string): string[] {
  const start = prefix === '' ? '' : `${prefix} `;
  const longer = commands.filter(({ name }) => name.startsWith(start));
  return [...new Set(longer.map(({ name }) => name.slice(start.length).split(' ')[0] ?? name))].sort();
}

function listing(words: readonly string[], cli: Overview, prefix: string): string {
  const width = Math.max(0, ...words.map(({ length }) => length));
  return words
    .map((word) => {
      const name = prefix === '' ? word : `${prefix} ${word}`;
      const synopsis = cli.commands.find((command) => command.name === name)?.synopsis ?? cli.groups?.[name] ?? '';
      return `    ${word.padEnd(width)}    ${synopsis}\n`;
    })
    .join('');
}

/** The reference of all commands as Markdown, for the documentation. */
export function describeCommands(commands: readonly HelpPage[]): string {
  return commands
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(describeCommand)
    .join('\n');
}

function describeCommand({ name, synopsis, help, flags }: HelpPage): string {
  const rows = sortedFlags(flags).map(
    ([flag, { type, help: about, shown }]) =>
      `| \`-${flag}\` | ${type === '' ? 'bool' : type} | ${shown === '' ? '' : `\`${cell(shown)}\``} | ${cell(about)} |\n`,
  );
  const table =
    rows.length === 0 ? '' : `\n| flag | type | default | meaning |\n| --- | --- | --- | --- |\n${rows.join('')}`;
  return `## ${name}\n\n${synopsis}\n${help === undefined ? '' : `\n${help}\n`}${table}`;
}

function cell(text: string): string {
  return text.replaceAll('|', String.raw`\|`).replaceAll('\n', ' ');
}
