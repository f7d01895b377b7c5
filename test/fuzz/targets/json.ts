import { isDeepStrictEqual } from 'node:util';
import { JsonError, type JsonValue, readJson, readJsonExact } from '../../../spiffe/json.ts';
import { mixed, mutateBytes } from '../mutate/bytes.ts';
import { jsonMutator } from '../mutate/json.ts';
import { must, opinion, outcomeOf, ruleOf, type Target } from '../target.ts';

const LIMITS = { maxLength: 1 << 24, maxDepth: 32 };
/** Where this reader is stricter than JSON.parse, and means to be. */
const STRICTER = /^(repeated member|lone surrogate|number out of range|too deeply nested|malformed UTF-8)/;

const mutate = jsonMutator(['a', 'b', '', '__proto__', 'constructor', 'toString', 'a\u0000b'], ['x', '\u{1f600}']);
const of = (text: (size: number) => string) => (size: number) => Buffer.from(text(size));

/** The JSON reader against JSON.parse: what is accepted, and what it means. */
export const jsonTarget: Target = {
  name: 'json',
  maxLength: 8192,
  mutate: mixed([5, mutate], [1, mutateBytes]),
  growth: [
    {
      what: 'many members',
      from: 20_000,
      of: of((n) => `{${Array.from({ length: n }, (_, i) => `"${i}":${i}`).join()}}`),
    },
    { what: 'many items', from: 50_000, of: of((n) => `[${'1,'.repeat(n)}1]`) },
    { what: 'many escapes', from: 100_000, of: of((n) => `"${'\\n'.repeat(n)}"`) },
    { what: 'a long text', from: 200_000, of: of((n) => `"${'\u00e9'.repeat(n)}"`) },
    { what: 'a long number', from: 5_000, of: of((n) => `[0.${'1'.repeat(n)},1e-${'0'.repeat(n)}]`) },
    { what: 'many blanks', from: 200_000, of: of((n) => `[${' '.repeat(n)}1`) },
    { what: 'an open text', from: 200_000, of: of((n) => `"${'\\\\a'.repeat(n)}`) },
  ],
  execute(input) {
    const ours = outcomeOf(
      () => readJson(input, LIMITS),
      (error) => error instanceof JsonError,
    );
    const exact = outcomeOf(
      () => readJsonExact(input, LIMITS),
      (error) => error instanceof JsonError,
    );
    must('value' in ours === 'value' in exact, 'both readers accept the same');
    const theirs = opinion(() => JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(input)));
    if ('refused' in ours) {
      must(theirs === undefined || STRICTER.test(ours.refused.message), `JSON.parse accepts: ${ours.refused.message}`);
      return ruleOf(ours.refused);
    }
    must(theirs !== undefined, 'JSON.parse refuses');
    must(isDeepStrictEqual(plain(ours.value), theirs.value), 'JSON.parse reads another value');
    must('value' in exact && isDeepStrictEqual(plain(exact.value), theirs.value), 'JSON.parse reads other integers');
    return `accepted ${Array.isArray(ours.value) ? 'list' : typeof ours.value}`;
  },
};

/** With the prototypes of JSON.parse, and numbers for integers. */
function plain(value: JsonValue<bigint>): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]));
}
