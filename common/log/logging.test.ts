import { closeSync, constants, openSync, readFileSync, readSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scratchFolder } from '../../test/support/scratch.ts';
import { descriptorSink } from './sink.ts';
import { createLogging, type LoggingOptions } from './logging.ts';

const now = Date.UTC(2026, 0, 2, 3, 4, 5, 670);
const zone = process.env['TZ'];

beforeEach(() => {
  process.env['TZ'] = 'Asia/Kolkata';
});
afterEach(() => {
  if (zone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = zone;
});

const collect = (options: Partial<LoggingOptions> = {}) => {
  const lines: string[] = [];
  const sink = { write: (line: string) => void lines.push(line), reopen: () => undefined, close: () => undefined };
  return {
    lines,
    logging: createLogging({ level: 'info', format: 'text', clock: { now: () => now }, sink, ...options }),
  };
};

describe('text', () => {
  it('writes time, level, message and the fields in order', () => {
    const { lines, logging } = collect();
    logging.root
      .with({ subsystem_name: 'api', b: 2 })
      .warn('Slow', { a: true, subsystem_name: 'ca/manager', none: undefined });
    expect(lines).toEqual([
      'time="2026-01-02T08:34:05+05:30" level=warning msg=Slow a=true b=2 subsystem_name=ca/manager\n',
    ]);
  });

  it('quotes what needs it, as Go does', () => {
    const { lines, logging } = collect();
    logging.root.info('two words', {
      a: 'x-._/@^+9',
      b: 'x y',
      c: 'line\nbreak"\\\t\u0000\u200b',
      d: 'naïve',
      e: '',
      f: new Error('it broke', { cause: new Error('secret') }),
      g: ['a', 1],
      h: 5n,
      i: null,
      j: { k: 1 },
      k: new Date(0),
    });
    expect(lines[0]?.split(' msg=')[1]).toBe(
      '"two words" a=x-._/@^+9 b="x y" c="line\\nbreak\\"\\\\\\t\\x00\\u200b" d="naïve" e= f="it broke" g="[a 1]" h=5 i="<nil>" ' +
        'j="{\\"k\\":1}" k="1970-01-01T00:00:00Z"\n',
    );
  });

  it('tells fields apart that are named like its own, and leaves out an empty message', () => {
    const { lines, logging } = collect({ nano: true });
    logging.root.info('', { time: 1, level: 2, msg: 3 });
    expect(lines).toEqual([
      'time="2026-01-02T08:34:05.67+05:30" level=info fields.level=2 fields.msg=3 fields.time=1\n',
    ]);
  });
});

describe('json', () => {
  it('writes one object with its keys in order', () => {
    const { lines, logging } = collect({ format: 'json', nano: true });
    logging.root.error('<bad> & "worse"', { a: [1, 'x'], z: new Error('oh'), big: 2n ** 70n, no: undefined });
    expect(lines).toEqual([
      '{"a":[1,"x"],"big":"1180591620717411303424","level":"error","msg":"\\u003cbad\\u003e \\u0026 \\"worse\\"",' +
        '"time":"2026-01-02T08:34:05.67+05:30","z":"oh"}\n',
    ]);
  });

  it('writes a line about a value that is no JSON', () => {
    const { lines, logging } = collect({ format: 'json' });
    const loop: { self?: unknown } = {};
    loop.self = loop;
    logging.root.info('x', { loop });
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ loop: '[object Object]' });
  });
});

describe('levels', () => {
  it('change for all loggers, and the first one is remembered', () => {
    const { lines, logging } = collect({ level: 'warning' });
    const child = logging.root.with({ a: 1 });
    child.info('no');
    child.error('yes');
    logging.setLevel('trace');
    child.trace('yes');
    child.debug('yes');
    logging.setLevel('fatal');
    child.error('no');
    expect(lines.map((line) => /msg=(\w+)/.exec(line)?.[1])).toEqual(['yes', 'yes', 'yes']);
    expect([logging.level, logging.launchLevel]).toEqual(['fatal', 'warning']);
  });
});

describe('source locations', () => {
  it('name the code that logged', () => {
    const { lines, logging } = collect({ sourceLocation: true });
    const speak = (): void => logging.root.with({}).info('x');
    speak();
    expect(lines[0]).toMatch(/ file="logging\.test\.ts:\d+" func=speak\n$/);
  });
});

describe('files', () => {
  it('are appended to, for the owner and group, and opened anew on request', () => {
    const file = path.join(scratchFolder(), 'log');
    const open = () => createLogging({ level: 'info', format: 'text', file });
    const first = open();
    first.root.info('one');
    first.close();
    first.root.info('lost');
    const second = open();
    second.root.info('two');
    renameSync(file, `${file}.1`);
    second.root.info('three');
    second.reopen();
    second.root.info('four');
    const messages = (name: string) => readFileSync(name, 'utf8').match(/(?<=msg=)\w+/g);
    expect([messages(`${file}.1`), messages(file)]).toEqual([['one', 'two', 'three'], ['four']]);
    expect(statSync(file).mode & 0o777 & ~0o640).toBe(0);
    second.close();
  });

  it('stay in use when they cannot be opened anew', () => {
    const folder = path.join(scratchFolder(), 'sub');
    expect(() => createLogging({ level: 'info', format: 'text', file: path.join(folder, 'log') })).toThrow(
      /^unable to open log file: ENOENT/,
    );
  });
});

describe('what nobody reads', () => {
  it('is lost without harm when it is closed', () => {
    const fd = openSync('/dev/null', 'w');
    closeSync(fd);
    expect(() => collect({ sink: descriptorSink(fd) }).logging.root.error('x')).not.toThrow();
  });

  it('is lost without harm when it is full', () => {
    const pipe = path.join(scratchFolder(), 'pipe');
    execFileSync('sh', ['-c', 'mkfifo "$0"', pipe]);
    const fd = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
    const sink = descriptorSink(fd);
    sink.write('x'.repeat(1 << 20));
    expect(readSync(fd, Buffer.alloc(8))).toBe(8);
    closeSync(fd);
  });
});
