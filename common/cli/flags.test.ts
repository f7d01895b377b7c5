import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FinialError } from '../errors.ts';
import {
  bool,
  custom,
  defineFlags,
  duration,
  type Flags,
  flagUsage,
  int,
  output,
  parseFlags,
  repeated,
  text,
} from './flags.ts';

const flags = defineFlags({
  socketPath: text('/tmp/api.sock', 'Where the socket is'),
  ttl: int(600, 'Seconds'),
  expiry: int(0, 'Unix time'),
  selector: repeated('A type:value selector'),
  admin: bool('Is admin'),
  expiredFor: duration(720 * 3_600_000, 'How long ago'),
  output: output(),
});

const parse = (...argv: string[]) => {
  const parsed = parseFlags(flags, argv);
  if (parsed === 'help') throw new Error('help');
  return parsed;
};

const errorOf = (...argv: string[]): string => {
  try {
    parse(...argv);
  } catch (error) {
    if (error instanceof FinialError && error.code === 'invalid-argument') return error.message;
    throw error;
  }
  return '';
};

describe('parseFlags', () => {
  it('has the defaults', () => {
    expect(parse().values).toEqual({
      socketPath: '/tmp/api.sock',
      ttl: 600,
      expiry: 0,
      selector: [],
      admin: false,
      expiredFor: 2_592_000_000,
      output: 'pretty',
    });
  });

  it('reads one dash and two, with = and without', () => {
    const { values } = parse(
      '-socketPath',
      'a',
      '--ttl',
      '0x10',
      '-expiry=-5',
      '--admin=T',
      '-expiredFor=1h30m',
      '-output',
      'JSON',
    );
    expect(values).toMatchObject({
      socketPath: 'a',
      ttl: 16,
      expiry: -5,
      admin: true,
      expiredFor: 5_400_000,
      output: 'json',
    });
  });

  it('adds up what may be given more than once and lets the last of the rest win', () => {
    const { values, given } = parse('-selector', 'unix:uid:0', '-ttl=1', '-selector=', '-ttl=2', '-selector', '-x');
    expect(values.selector).toEqual(['unix:uid:0', '', '-x']);
    expect(values.ttl).toBe(2);
    expect([...given]).toEqual(['selector', 'ttl']);
  });

  it.each([
    [['-admin', 'false', '-ttl', '1'], ['false', '-ttl', '1'], true],
    [['-admin=false', '--', '-ttl'], ['-ttl'], false],
    [['-'], ['-'], false],
    [['', '-admin'], ['', '-admin'], false],
  ])('stops at the first word that is no flag: %j', (argv, rest, admin) => {
    const parsed = parse(...argv);
    expect([parsed.rest, parsed.values.admin]).toEqual([rest, admin]);
  });

  it.each([
    [['-foo'], 'flag provided but not defined: -foo'],
    [['--foo=1'], 'flag provided but not defined: -foo'],
    [['-__proto__'], 'flag provided but not defined: -__proto__'],
    [['-ttl'], 'flag needs an argument: -ttl'],
    [['-ttl', 'x'], 'invalid value "x" for flag -ttl: parse error'],
    [['-ttl='], 'invalid value "" for flag -ttl: parse error'],
    [['-ttl', '99999999999999999999'], 'invalid value "99999999999999999999" for flag -ttl: value out of range'],
    [['-expiredFor', '5'], 'invalid value "5" for flag -expiredFor: parse error'],
    [['-admin=maybe'], 'invalid boolean value "maybe" for -admin: parse error'],
    [['---ttl'], 'bad flag syntax: ---ttl'],
    [['-=x'], 'bad flag syntax: -=x'],
    [['-output', 'xml'], 'invalid value "xml" for flag -output: bad formatter flag: unknown format option: "xml"'],
    [
      ['-output', 'json', '-output', 'pretty'],
      'invalid value "pretty" for flag -output: the output format has already been set to "json"',
    ],
  ])('refuses %j', (argv, message) => {
    expect(errorOf(...argv)).toBe(message);
  });

  it('asks for help with -h unless that is a flag', () => {
    expect(parseFlags(flags, ['-ttl=1', '--help'])).toBe('help');
    expect(parseFlags({ h: bool('') } satisfies Flags, ['-h'])).toMatchObject({ values: { h: true } });
  });

  it('only ever answers or refuses', () => {
    const word = fc.oneof(
      fc.constantFrom('-ttl', '-admin', '--selector=a', '--', '-', 'x', '-output=json'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(word), (argv) => {
        try {
          const parsed = parseFlags(flags, argv);
          return parsed === 'help' || argv.slice(argv.length - parsed.rest.length).join() === parsed.rest.join();
        } catch (error) {
          return error instanceof FinialError;
        }
      }),
    );
  });
});

describe('flagUsage', () => {
  it('prints names, types and defaults as Go does', () => {
    const page = flagUsage({
      ...flags,
      n: bool('Short'),
      wait: custom(5000, 'Time to wait', Number, '5s'),
      lines: text('', 'one\ntwo'),
    });
    expect(page).toBe(
      [
        '  -admin\n    \tIs admin',
        '  -expiredFor duration\n    \tHow long ago (default 720h0m0s)',
        '  -expiry int\n    \tUnix time',
        '  -lines string\n    \tone\n    \ttwo',
        '  -n\tShort',
        '  -output value\n    \tHow to print the result: pretty or json (pretty unless given)',
        '  -selector value\n    \tA type:value selector',
        '  -socketPath string\n    \tWhere the socket is (default "/tmp/api.sock")',
        '  -ttl int\n    \tSeconds (default 600)',
        '  -wait value\n    \tTime to wait (default 5s)\n',
      ].join('\n'),
    );
  });
});
