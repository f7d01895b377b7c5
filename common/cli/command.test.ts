import { describe, expect, it } from 'vitest';
import { FinialError } from '../errors.ts';
import { type CommandIo, defineCommand, runCli } from './command.ts';
import { bool, int, text } from './flags.ts';
import { describeCommands } from './help.ts';

const create = defineCommand({
  name: 'entry create',
  synopsis: 'Creates an entry',
  flags: { spiffeID: text('', 'The SPIFFE ID'), admin: bool('Admin'), ttl: int(0, 'Seconds') },
  async run(values, io, { given }) {
    if (values.spiffeID === '') throw new FinialError('invalid-argument', 'a SPIFFE ID is required');
    io.out(`${values.spiffeID} ${values.admin} ${[...given].join()}\n`);
    return values.ttl;
  },
});
const simple = (name: string, synopsis: string, code = 0) =>
  defineCommand({
    name,
    synopsis,
    flags: {},
    run: async (_, io) => {
      io.out(`${name}\n`);
      return code;
    },
  });
const broken = defineCommand({
  name: 'run',
  synopsis: 'Runs',
  flags: {},
  bareErrors: true,
  async run() {
    throw new Error('no config');
  },
});
const commands = [
  create,
  simple('entry show', 'Shows | entries'),
  simple('api fetch', 'Fetches'),
  simple('api fetch jwt', 'Fetches a JWT', 3),
  broken,
];
const cli = { name: 'tool', version: '1.15.3', commands, groups: { entry: 'Works with entries' } };

const run = async (...argv: string[]): Promise<{ code: number; out: string; err: string }> => {
  let [out, err] = ['', ''];
  const io: CommandIo = {
    out: (more) => (out += more),
    err: (more) => (err += more),
    env: {},
    stdin: (async function* () {})(),
    cwd: '/',
  };
  const code = await runCli(cli, argv, io);
  return { code, out, err };
};

const OVERVIEW = `Usage: tool [--version] [--help] <command> [<args>]

Available commands are:
    api      
    entry    Works with entries
    run      Runs

`;
const CREATE_HELP = `Usage of entry create:
  -admin
    \tAdmin
  -spiffeID string
    \tThe SPIFFE ID
  -ttl int
    \tSeconds
`;

describe('runCli', () => {
  it('runs the command with the most words and hands on its exit code', async () => {
    expect(await run('entry', 'create', '-spiffeID', 'x', '-admin', '-ttl=7')).toEqual({
      code: 7,
      out: 'x true spiffeID,admin,ttl\n',
      err: '',
    });
    expect(await run('api', 'fetch')).toEqual({ code: 0, out: 'api fetch\n', err: '' });
    expect(await run('api', 'fetch', 'jwt')).toEqual({ code: 3, out: 'api fetch jwt\n', err: '' });
  });

  it('prints the version wherever it stands before a command', async () => {
    for (const argv of [['--version'], ['-v'], ['-version', 'entry'], ['-h', '-v']]) {
      expect(await run(...argv)).toEqual({ code: 0, out: '', err: '1.15.3\n' });
    }
  });

  it.each([
    [[], 127],
    [['-h'], 0],
    [['--help'], 0],
    [['-foo'], 127],
    [['--', 'entry'], 127],
    [[''], 127],
  ])('prints the overview for %j and exits with %d', async (argv, code) => {
    expect(await run(...argv)).toEqual({ code, out: '', err: OVERVIEW });
  });

  it('suggests what an unknown command may have been', async () => {
    expect(await run('enrty')).toEqual({
      code: 127,
      out: '',
      err: `unknown command "enrty"; did you mean "entry"?\n\n${OVERVIEW}`,
    });
    expect(await run('entry create')).toMatchObject({ code: 127 });
    expect((await run('completely-else')).err).toBe(`unknown command "completely-else"\n\n${OVERVIEW}`);
  });

  it('lists what is below a word that is no command', async () => {
    const help =
      'Usage: tool entry <subcommand> [<args>]\n\nWorks with entries\n\nSubcommands:\n    create    Creates an entry\n    show      Shows | entries\n';
    expect(await run('entry')).toEqual({ code: 1, out: '', err: help });
    expect(await run('entry', 'crate')).toEqual({ code: 1, out: '', err: help });
    expect(await run('entry', '-h')).toEqual({ code: 0, out: '', err: help });
    expect((await run('api', '-h')).err).toMatch(/Subcommands:\n {4}fetch {4}Fetches\n$/);
  });

  it('prints the help of a command wherever help is asked for', async () => {
    expect(await run('entry', 'create', '-h')).toEqual({ code: 0, out: '', err: CREATE_HELP });
    expect(await run('--help', 'entry', 'create', '-ttl', 'x')).toEqual({ code: 0, out: '', err: CREATE_HELP });
    expect(await run('entry', 'create', '-h=1')).toEqual({ code: 1, out: '', err: CREATE_HELP });
    expect((await run('api', 'fetch', '-h')).err).toBe(
      'Usage of api fetch:\n\nSubcommands:\n    jwt    Fetches a JWT\n',
    );
  });

  it('refuses bad flags with the usage', async () => {
    expect(await run('entry', 'create', '-foo')).toEqual({
      code: 1,
      out: '',
      err: `flag provided but not defined: -foo\n${CREATE_HELP}`,
    });
    const misplaced = await run('-foo', 'entry', 'create');
    expect(misplaced).toEqual({ code: 1, out: '', err: `-foo: flags of a command must follow it\n\n${CREATE_HELP}` });
  });

  it('prints errors of a command, and exits with 1', async () => {
    expect(await run('entry', 'create')).toEqual({ code: 1, out: '', err: 'Error: a SPIFFE ID is required\n' });
    expect(await run('run')).toEqual({ code: 1, out: '', err: 'no config\n' });
  });

  it('warns of words that end the flags unseen', async () => {
    const { code, err } = await run('entry', 'create', '-spiffeID=x', '-admin', 'false', '-ttl=7');
    expect([code, err]).toEqual([0, expect.stringMatching(/^warning: ignored from "false" on/)]);
  });
});

describe('describeCommands', () => {
  it('makes a page of Markdown', () => {
    const page = describeCommands(commands);
    expect(page).toMatch(/^## api fetch\n\nFetches\n\n## api fetch jwt\n/);
    expect(page).toContain(
      '## entry create\n\nCreates an entry\n\n| flag | type | default | meaning |\n| --- | --- | --- | --- |\n| `-admin` | bool |  | Admin |\n',
    );
  });
});
