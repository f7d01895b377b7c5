import { createRequire } from 'node:module';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FinialError } from '../errors.ts';
import { parseConfigText } from './hcl.ts';
import type { ConfigItem, ConfigNode, ConfigObject } from './tree.ts';

// The original parser compiled to JavaScript; CommonJS without types.
const oracle = createRequire(import.meta.url)('js-hcl-parser') as { parse(text: string): string };

/** The tree in the shape the oracle prints: blocks as lists of objects, numbers as values. */
function plainObject(items: readonly ConfigItem[]): Record<string, unknown> {
  const result: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  const add = (name: string, value: unknown): void => {
    const before = result[name];
    result[name] =
      Array.isArray(before) && Array.isArray(value) ? [...(before as unknown[]), ...(value as unknown[])] : value;
  };
  for (const { keys, value } of items) {
    const [first, ...labels] = keys;
    if (first === undefined) throw new Error('an item without a key');
    if (labels.length > 0) add(first.name, [plainObject([{ keys: labels, value }])]);
    else add(first.name, value.kind === 'object' ? [plainObject(value.items)] : plain(value));
  }
  return result;
}

function plain(node: ConfigNode): unknown {
  if (node.kind === 'object') return plainObject(node.items);
  if (node.kind === 'list') return node.items.map(plain);
  if (node.kind === 'boolean') return node.text === 'true';
  if (node.kind === 'text' || node.kind === 'null') return node.text;
  const number = /^-?0\d+$/.test(node.text) ? node.text.replace(/^(-?)0/, '$10o') : node.text;
  return number.startsWith('-') ? -Number(number.slice(1)) : Number(number);
}

const parse = (text: string): ConfigObject => parseConfigText(text, 'test.conf');
const sorted = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
const messageFor = (text: string): string => {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof FinialError && error.code === 'invalid-argument') return error.message;
    throw error;
  }
  return 'accepted';
};

const CORPUS: readonly string[] = [
  '',
  '# only a comment',
  'server {\n  bind_port = "8081" // a\n  trust_domain = "example.org" /* b\n */ data_dir = "./data"\n}\nplugins {}',
  'plugins {\n  KeyManager "disk" { plugin_data { keys_path = "k.json" } }\n  KeyManager "memory" { plugin_data {} }\n}',
  'plugins { NodeAttestor { "join_token" { plugin_data {} } } }',
  'a "b" "c" { d = 1 }\na "e" { f = 2 }',
  'a { x = 1 }\na { y = 2 }',
  'l = [1, 2.5, "three", true, [4, 5], {k = "v"},]\nl = ["more"]',
  'l = [\n  # comment\n  "a", // b\n  "c" /* d */,\n]',
  'n = [0x1F, 017, -3, 1e3, 1.5e-2, 0.5, 0]',
  'dotted.key-with_dash = 1\n"quoted key" = 2\nunicode_ключ = "знач"',
  'a {b=1, c=2}\nd = {e = 3}',
  's = "tab\\t nl\\n quote\\" back\\\\ hex\\x41 oct\\101 uni\\u00e9 \\U0001F600"',
  's = "keep ${ "quotes" and {braces} \\n } as they are"',
  'h = <<EOF\nline one\n  line two\nEOF\ni = 1\n',
  'h = <<-EOT\n    one\n      two\n    EOT\n',
  'h = <<-EOT\n    one\n  two\n    EOT\n',
  'h = <<-EOT\n  one\n\n  two\n  EOT\n',
  'h = <<EOF\nindented end\n  EOF\n',
  'h = <<EOF\nEOF\n',
  'x = 1\nx = 2',
  'x = "a"\r\ny = "b"\r\n',
  'empty = []\nnothing {}\nobj = {}',
  'telemetry { Prometheus { port = 9988 } DogStatsd = [{ address = "a:1" }, { address = "b:2" }] }',
  '{"server": {"bind_port": "8081", "admin_ids": ["a", "b"]}, "plugins": {"KeyManager": [{"disk": {"plugin_data": {"x": 1}}}]}}',
  '{"plugins": {"A": {"one": {"plugin_data": {}}, "two": {"plugin_data": {"k": true}}}}}',
  '{"brokers": [{"broker": [{"id": "x"}]}], "empty": {}, "list": [], "mixed": {"a": 1, "b": {"c": 2}}}',
  '{"a": {"b": {"c": {"d": 1}}}, "n": -1.5e3, "t": "\\u00e9\\n",}',
];

describe('parseConfigText', () => {
  it.each(CORPUS)('reads as the original parser does: %j', (text) => {
    expect(sorted(plainObject(parse(text).items))).toEqual(JSON.parse(oracle.parse(text)));
  });

  it('reads JSON null as a kind of its own, nested lists and booleans in lists', () => {
    const [a, b] = parse('{"a": null, "b": [true, [null]]}').items;
    expect(a?.value.kind).toBe('null');
    expect(plain(b?.value ?? { kind: 'list', items: [], position: { file: '', line: 0, column: 0 } })).toEqual([
      true,
      [''],
    ]);
  });

  it('joins surrogates in JSON and replaces nothing else', () => {
    expect(parse('{"a": "\\ud83d\\ude00"}').items[0]?.value).toMatchObject({ text: '😀' });
  });

  it('knows where everything stands', () => {
    const { items } = parse('a = 1\n\n  /* x\n y */ b "c" {\n    d = [\n      "e"]\n}');
    expect(items[1]?.keys.map(({ position }) => [position.line, position.column])).toEqual([
      [4, 7],
      [4, 9],
    ]);
    const inner = items[1]?.value.kind === 'object' ? items[1].value.items[0] : undefined;
    expect(inner?.keys[0]?.position).toEqual({ file: 'test.conf', line: 5, column: 5 });
    expect(inner?.value.kind === 'list' ? inner.value.items[0]?.position.line : undefined).toBe(6);
  });

  it('counts lines through heredocs and texts over lines', () => {
    const { items } = parse('h = <<EOF\n1\n2\nEOF\ns = "${a\nb}"\nz = 1');
    expect(items.map(({ keys }) => keys[0]?.position.line)).toEqual([1, 5, 7]);
  });

  it.each([
    ['a = ', 'test.conf:1:5: expected a value but the file ends'],
    ['a = b', 'test.conf:1:5: b must be quoted: "b"'],
    ['a = 1h', 'test.conf:1:5: 1h must be quoted: "1h"'],
    ['a', 'test.conf:1:2: expected = or { after the key a but the file ends'],
    ['a {\n  b = 1', 'test.conf:2:8: expected a key but the file ends'],
    ['a = 1 }', 'test.conf:1:7: expected a key but found "}"'],
    ['a b = {}', 'test.conf:1:5: a b: a block with labels takes { without ='],
    ['a = [1 2]', 'test.conf:1:8: expected , or ] but found "2"'],
    ['a = "x\n"', 'test.conf:1:5: text without its closing quote'],
    ['a = "${"', 'test.conf:1:5: text without its closing quote: ${ is not closed by }'],
    ['a = "\\q"', 'test.conf:1:6: unknown escape'],
    ['a = 089', 'test.conf:1:5: 089 is no octal number'],
    ['a = <<E F\nE', 'test.conf:1:5: a heredoc begins with << and a name at the end of the line'],
    ['a = <<E\nx\n', 'test.conf:1:5: heredoc without its end: a line with only E'],
    ['/* a', 'test.conf:1:1: comment without its end: */'],
    ['a ; b', 'test.conf:1:3: unexpected character ";"'],
    ['{"a" 1}', 'test.conf:1:6: expected : after "a" but found "1"'],
    ['{"a": 1} x', 'test.conf:1:10: expected the end of the file but found "x"'],
    ['{"a": 01}', 'test.conf:1:7: 01 is no JSON number'],
    ['{\n"a": nil}', 'test.conf:2:6: expected a value but found "nil"'],
    ['{"a": [1', 'test.conf:1:9: expected , or ] but the file ends'],
  ])('says what is wrong with %j and where', (text, message) => {
    expect(messageFor(text)).toBe(message);
  });

  it('bounds depth and size', () => {
    expect(messageFor('a = '.concat('['.repeat(101)))).toMatch(/nested deeper than 100$/);
    expect(messageFor('{"a":'.repeat(101))).toMatch(/nested deeper than 100$/);
    expect(messageFor(' '.repeat(8 * 1024 * 1024 + 1))).toMatch(/longer than/);
  });

  it('reads a long line in time that grows as the line does', () => {
    // Searching the rest of the text for a line end at each step took minutes for this; the time limit of tests is 20 s.
    const times = 2_000_000;
    expect(messageFor(`a = "${'x$'.repeat(times)}"`)).toBe('accepted');
    expect(messageFor('a=1 '.repeat(times / 4))).toBe('accepted');
  });

  it('never fails in another way than with a located message', () => {
    const fragment = fc.constantFrom(
      ...[
        'a',
        'b "c"',
        '=',
        '{',
        '}',
        '[',
        ']',
        ',',
        '1',
        '-2',
        '"s"',
        'true',
        '\n',
        '# c\n',
        '<<E\nx\nE\n',
        '"${x}"',
        '1.5',
        '\\',
      ],
    );
    const text = fc.oneof(
      fc.array(fragment, { maxLength: 24 }).map((parts) => parts.join(' ')),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(text, (source) => {
        expect(messageFor(source)).toMatch(/^(accepted|test\.conf:\d+:\d+: )/);
      }),
      { numRuns: 2000 },
    );
  });

  it('reads whatever configuration is printed as the original does', () => {
    // A key keeps its type: the oracle has no schema and would read a later value as the type of the first.
    const scalars: Record<string, fc.Arbitrary<string>> = {
      i: fc.integer().map(String),
      b: fc.boolean().map(String),
      t: fc.stringMatching(/^[\w é.:/-]*$/).map((text) => `"${text}"`),
    };
    const key = fc.stringMatching(/^[a-z][a-z_]{0,5}$/).filter((name) => name !== 'true' && name !== 'false');
    const scalar = fc
      .constantFrom('i', 'b', 't')
      .chain((type) => fc.tuple(fc.constant(type), scalars[type] ?? fc.constant('1')));
    const { body } = fc.letrec<{ body: string; item: string }>((tie) => ({
      body: fc.array(tie('item'), { maxLength: 4 }).map((items) => items.join('\n')),
      item: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.tuple(key, scalar).map(([k, [type, v]]) => `s_${type}_${k} = ${v}`),
        fc.tuple(key, fc.array(scalar)).map(([k, v]) => `l_${k} = [${v.map(([, one]) => one).join(', ')}]`),
        fc.tuple(key, tie('body')).map(([k, v]) => `o_${k} {\n${v}\n}`),
        fc.tuple(key, key, tie('body')).map(([k, label, v]) => `k_${k} "${label}" {\n${v}\n}`),
      ),
    }));
    fc.assert(
      fc.property(body, (source) => {
        expect(sorted(plainObject(parse(source).items))).toEqual(JSON.parse(oracle.parse(source)));
      }),
      { numRuns: 150 },
    );
  });
});
