import { createRequire } from 'node:module';
import { parseConfigText } from '../../../common/config/hcl.ts';
import type { ConfigNode } from '../../../common/config/tree.ts';
import { mixed, mutateBytes } from '../mutate/bytes.ts';
import { textMutator } from '../mutate/text.ts';
import { must, opinion, outcomeOf, ruleOf, type Target } from '../target.ts';
import { finialErrors } from './refusal.ts';

// The original parser compiled to JavaScript; CommonJS without types.
const original = createRequire(import.meta.url)('js-hcl-parser') as { parse(text: string): string };

const WORDS = [
  ...[
    'server {',
    '}',
    'a = 1\n',
    'b "c" {',
    '[',
    ']',
    ',',
    '=',
    '"x"',
    '<<EOF\n',
    '<<-EOT\n',
    'EOF\n',
    '# c\n',
    '//',
    '/*',
  ],
  ...[
    '*/',
    '${',
    '}',
    '\\u00e9',
    '\\U0001F600',
    '\\x41',
    '\\101',
    '0x1F',
    '017',
    '089',
    '-3',
    '1e3',
    '.5',
    'true',
    'null',
  ],
  ...['{"a": {"b": {"c": 1}}}', '{"a": [{"b": 1}, {"b": 2}]}', '"a": ', 'ключ', '\\"', '"${ "x" }"'],
];

const of = (text: (size: number) => string) => (size: number) => Buffer.from(text(size));

/** Configurations, against the original parser of HCL 1. */
export const hclTarget: Target = {
  name: 'hcl',
  maxLength: 2000,
  mutate: mixed([5, textMutator(WORDS)], [1, mutateBytes]),
  growth: [
    { what: 'items on one line', from: 8_000, of: of((n) => 'a=1 '.repeat(n)) },
    { what: 'items on lines of their own', from: 8_000, of: of((n) => 'a = 1\n'.repeat(n)) },
    { what: 'a long list', from: 8_000, of: of((n) => `a = [${'1,'.repeat(n)}]`) },
    { what: 'a long text', from: 50_000, of: of((n) => `a = "${'x$'.repeat(n)}"`) },
    { what: 'escapes', from: 8_000, of: of((n) => `a = "${'\\n'.repeat(n)}"`) },
    { what: 'an interpolation', from: 50_000, of: of((n) => `a = "\${${'x'.repeat(n)}}"`) },
    { what: 'open braces', from: 8_000, of: of((n) => `a = "${'${'.repeat(n)}`) },
    { what: 'a heredoc', from: 20_000, of: of((n) => `a = <<E\n${'x\n'.repeat(n)}E\n`) },
    { what: 'heredocs', from: 2_000, of: of((n) => 'a = <<E\nE\n'.repeat(n)) },
    { what: 'comments', from: 8_000, of: of((n) => '/* */'.repeat(n)) },
    { what: 'members of JSON', from: 8_000, of: of((n) => `{${'"a":{"b":1},'.repeat(n)}}`) },
  ],
  execute(input, isThorough) {
    const text = input.toString('utf8');
    const outcome = outcomeOf(() => parseConfigText(text, 'fuzz.conf'), finialErrors('invalid-argument'));
    if ('refused' in outcome) {
      must(/^fuzz\.conf:\d+:\d+: /.test(outcome.refused.message), 'a message says where');
      return ruleOf(outcome.refused).slice(0, 30);
    }
    checkPositions(outcome.value, text.split('\n').length);
    if (isThorough) must(opinion(() => original.parse(text)) !== undefined, 'the original parser refuses');
    return 'accepted';
  },
};

/** Every value stands in the file. */
function checkPositions(node: ConfigNode, lines: number): void {
  must(node.position.line >= 1 && node.position.line <= lines && node.position.column >= 1, 'a position in the file');
  if (node.kind === 'list') for (const item of node.items) checkPositions(item, lines);
  if (node.kind !== 'object') return;
  for (const { keys, value } of node.items) {
    must(keys.length > 0, 'an item has a key');
    checkPositions(value, lines);
  }
}
