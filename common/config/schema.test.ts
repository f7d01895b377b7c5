import { describe, expect, it } from 'vitest';
import { FinialError } from '../errors.ts';
import { parseConfigText } from './hcl.ts';
import {
  boolean,
  choice,
  convert,
  decode,
  duration,
  type Infer,
  integer,
  labelled,
  list,
  object,
  optional,
  raw,
  refine,
  required,
  type Schema,
  string,
  withDefault,
} from './schema.ts';
import { withOverrides } from './tree.ts';

const read = <T>(schema: Schema<T>, text: string): T => decode(schema, parseConfigText(text, 'f.conf'), '');
const problems = (schema: Schema<unknown>, text: string): string[] => {
  try {
    read(schema, text);
  } catch (error) {
    if (error instanceof FinialError && error.code === 'invalid-argument') return error.message.split('\n');
    throw error;
  }
  return [];
};

const server = object({
  server: object({
    trust_domain: required(string()),
    bind_port: withDefault(integer(), 8081),
    ca_ttl: optional(duration()),
    admin_ids: list(string()),
    audit: withDefault(boolean(), false),
    experimental: object({ flag: withDefault(boolean(), false) }, { unknown: 'ignore' }),
  }),
});

describe('decode', () => {
  it('types values and fills in what is absent', () => {
    const value: Infer<typeof server> = read(server, 'server { trust_domain = "x.org" ca_ttl = "1h" }');
    expect(value.server).toEqual({
      trust_domain: 'x.org',
      bind_port: 8081,
      ca_ttl: 3_600_000,
      admin_ids: [],
      audit: false,
      experimental: { flag: false },
    });
  });

  it('reads weakly: numbers as text, text as numbers and booleans', () => {
    const schema = object({ s: string(), t: string(), i: integer(), o: integer(), b: boolean(), c: boolean() });
    expect(read(schema, 's = 8081 t = 1.50 i = "0x10" o = 010 b = "TRUE" c = 0')).toEqual({
      ...{ s: '8081', t: '1.50', i: 16, o: 8, b: true, c: false },
    });
  });

  it('matches keys in any case, merges repeated sections and lets the last value win', () => {
    expect(
      read(server, 'Server { TRUST_DOMAIN = "a" admin_ids = ["x"] }\nserver { trust_domain = "b" admin_ids = ["y"] }')
        .server,
    ).toMatchObject({
      ...{ trust_domain: 'b', admin_ids: ['x', 'y'] },
    });
  });

  it('takes JSON null for absence', () => {
    expect(
      read(server, '{"server": {"trust_domain": "a", "ca_ttl": null, "admin_ids": null, "bind_port": null}}').server,
    ).toMatchObject({
      ...{ ca_ttl: undefined, admin_ids: [], bind_port: 8081 },
    });
  });

  it('reports everything at once, in the order of the file, with hints', () => {
    const text = [
      'server {',
      '  bind_prot = 1',
      '  bind_port = "eighty"',
      '  ca_ttl = 5',
      '  admin_ids = "one"',
      '  audit = "yes"',
      '  trust_domain = ""',
      '  zzz {}',
      '  experimental { anything = 1 }',
      '}',
      'plugins {}',
    ].join('\n');
    expect(problems(server, text)).toEqual([
      'f.conf:2: server.bind_prot: unknown configuration key; did you mean "bind_port"?',
      'f.conf:3: server.bind_port: must be a whole number, not "eighty"',
      'f.conf:4: server.ca_ttl: must be a duration such as 1h30m (time: missing unit in duration "5")',
      'f.conf:5: server.admin_ids: must be a list: [ … ]',
      'f.conf:6: server.audit: must be true or false, not "yes"',
      'f.conf:7: server.trust_domain: must be configured',
      'f.conf:8: server.zzz: unknown configuration key',
      'f.conf:11: plugins: unknown configuration key',
    ]);
  });

  it('points at the section for what is missing in it', () => {
    expect(problems(server, '# x\nserver {\n}')).toEqual(['f.conf:2: server.trust_domain: must be configured']);
    expect(problems(server, '# x')).toEqual(['f.conf:1: server.trust_domain: must be configured']);
    expect(() => decode(object({ keys_path: required(string()) }), undefined, 'plugin_data')).toThrow(
      /^plugin_data\.keys_path: must be configured$/,
    );
  });

  it.each([
    ['a = 1.5', 'f.conf:1: a: must be a whole number, not "1.5"'],
    ['a = true', 'f.conf:1: a: must be a whole number, not "true"'],
    ['a = 08', undefined],
    ['a = "08"', 'f.conf:1: a: must be a whole number, not "08"'],
    ['a = 99999999999999999', 'f.conf:1: a: 99999999999999999 is out of range'],
    ['a = [1]', 'f.conf:1: a: must be a single value, not a list'],
    ['a {}', 'f.conf:1: a: must be a single value, not a block'],
    ['a "x" {}', 'f.conf:1: a: must be a single value, not a block'],
    ['a = "x" a = 1', 'f.conf:1: a: must be a whole number, not "x"'],
  ])('refuses %s as a number', (text, message) => {
    if (message === undefined) expect(() => read(object({ a: integer() }), text)).toThrow('no octal number');
    else expect(problems(object({ a: integer() }), text)).toEqual([message]);
  });

  it('refuses a value where a block must be', () => {
    expect(problems(server, 'server = "x"')).toEqual(['f.conf:1: server: must be a block: { … }']);
    expect(problems(object({ p: labelled(object({})) }), 'p = 1')).toEqual(['f.conf:1: p: must be a block: { … }']);
  });
});

describe('list', () => {
  const brokers = object({ brokers: list(object({ id: string(), tcp: withDefault(boolean(), false) })) });

  it.each([
    ['brokers = [{ id = "a" }, { id = "b" }]', ['a', 'b']],
    ['brokers { id = "a" }\nbrokers { id = "b" }', ['a', 'b']],
    ['brokers "broker" { id = "a" }\nbrokers "broker" { id = "b" }', ['a', 'b']],
    ['brokers { broker { id = "a" } }', ['a']],
    ['{"brokers": [{"broker": [{"id": "a"}, {"id": "b"}]}]}', ['a', 'b']],
    ['{"brokers": [{"id": "a"}, {"id": "b"}]}', ['a', 'b']],
    ['{"brokers": []}', []],
  ])('reads %s', (text, ids) => {
    expect(read(brokers, text).brokers.map(({ id }) => id)).toEqual(ids);
  });

  it('names the element at fault', () => {
    expect(problems(brokers, 'brokers = [\n{ id = "a" },\n{ tcp = "?" }]')).toEqual([
      'f.conf:3: brokers[1].id: must be configured',
      'f.conf:3: brokers[1].tcp: must be true or false, not "?"',
    ]);
  });
});

describe('labelled', () => {
  const profiles = object({ profile: labelled(object({ id: optional(string()), port: optional(integer()) })) });

  it.each([
    'profile "a" { id = "1" }\nprofile "b" {}\nprofile "a" { port = 2 }',
    '{"profile": [{"a": {"id": "1", "port": 2}}, {"b": {}}]}',
  ])('reads %j', (text) => {
    expect(read(profiles, text).profile.map(({ label, value }) => ({ label, ...value }))).toEqual([
      { label: 'a', id: '1', port: 2 },
      { label: 'b', id: undefined, port: undefined },
    ]);
  });

  it('names the label in messages and gives the place of each', () => {
    expect(problems(profiles, 'profile "a" {\n prot = 1 }')).toEqual([
      'f.conf:2: profile["a"].prot: unknown configuration key; did you mean "port"?',
    ]);
    expect(read(profiles, '\nprofile { a {} }').profile[0]?.position.line).toBe(2);
  });
});

describe('the other combinators', () => {
  it('keeps a subtree to be decoded later, the last of several', () => {
    const data = read(object({ d: optional(raw()) }), 'd { x = 1 }\nd { x = 2 }').d;
    expect(decode(object({ x: integer() }), data, 'd')).toEqual({ x: 2 });
    expect(read(object({ d: optional(raw()) }), '{"d": null}').d).toBeUndefined();
    const labels = read(object({ d: raw() }), 'd "one" { x = 1 }\nd "two" { x = 2 }').d;
    expect(decode(labelled(object({ x: integer() })), labels, 'd').map(({ label }) => label)).toEqual(['one', 'two']);
  });

  it('chooses a word', () => {
    expect(read(object({ a: choice(['json', 'text'], { anyCase: true }) }), 'a = "JSON"').a).toBe('json');
    expect(problems(object({ a: choice(['json', 'text']) }), 'a = "JSON"')).toEqual([
      'f.conf:1: a: must be one of "json", "text", not "JSON"',
    ]);
  });

  it('checks across keys and points at the key at fault', () => {
    const schema = object({
      s: refine(object({ a: optional(string()), b: optional(string()) }), ({ a, b }) => {
        if (a === undefined && b === undefined) return 'one of a and b must be configured';
        return a !== undefined && b !== undefined ? { key: 'b', problem: 'excludes a' } : undefined;
      }),
    });
    expect(problems(schema, 's {\n a = 1\n b = 2 }')).toEqual(['f.conf:3: s.b: excludes a']);
    expect(problems(schema, 's {}')).toEqual(['f.conf:1: s: one of a and b must be configured']);
    expect(problems(schema, '')).toEqual(['f.conf:1: s: one of a and b must be configured']);
  });

  it('converts, and turns what the conversion throws into a problem', () => {
    const even = convert(integer(), (n) => {
      if (n % 2 === 1) throw new Error('must be even');
      return n / 2;
    });
    expect(read(object({ n: even }), 'n = 4').n).toBe(2);
    expect(problems(object({ n: even }), 'n = 3')).toEqual(['f.conf:1: n: must be even']);
  });

  it('describes itself for the generated reference', () => {
    expect(server.shape).toMatchObject({
      kind: 'object',
      fields: { server: { fields: { bind_port: { kind: 'integer', presence: 'optional', fallback: 8081 } } } },
    });
  });
});

describe('withOverrides', () => {
  it('lets flags win, unless they are empty, and names them in messages', () => {
    const root = parseConfigText('server { trust_domain = "file" bind_port = 1 }', 'f.conf');
    const flags = {
      trust_domain: { value: 'flag', source: 'flag -trustDomain' },
      bind_port: { value: 0, source: 'flag -serverPort' },
    };
    const { server: value } = decode(server, withOverrides(root, 'server', flags), '');
    expect([value.trust_domain, value.bind_port]).toEqual(['flag', 1]);
    const bad = withOverrides(root, 'server', { ca_ttl: { value: 'soon', source: 'flag -caTTL' } });
    expect(() => decode(server, bad, '')).toThrow(/^flag -caTTL: server\.ca_ttl: must be a duration/);
  });

  it('makes the section when the file has none', () => {
    const root = withOverrides(parseConfigText('', 'f.conf'), 'server', {
      trust_domain: { value: 'x', source: 'flag' },
    });
    expect(decode(server, root, '').server.trust_domain).toBe('x');
  });
});
