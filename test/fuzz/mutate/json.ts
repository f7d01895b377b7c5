import type { Random } from '../random.ts';
import type { Mutator } from '../target.ts';
import { textMutator } from './text.ts';

/** A value of JSON with members in order, so that repeated ones can be written; a `raw` stands as it is. */
export type Json = null | boolean | string | { raw: string } | Json[] | { members: [name: string, value: Json][] };

const NUMBERS = [
  ...['0', '-0', '1', '-1', '1.0', '1e2', '1E+2', '0.1', '-1.5', '60', '300', '1893553445', '4102444800'],
  ...['9007199254740991', '9007199254740992', '18446744073709551615', '18446744073709551616', '1e308', '1e309'],
  ...['-9223372036854775808', '01', '+1', '.5', '1.', 'NaN', 'Infinity', '0x10', '1e', '-', '1e999999999'],
];
const WORDS = [
  '',
  'true',
  'false',
  'null',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '""',
  '{}',
  '[]',
  '"a"',
  '\\u0000',
  '\\ud800',
];

const misspell = textMutator([...WORDS, ...NUMBERS]);

/**
 * Changes JSON by its members and values, and writes it with escapes, blanks and repetitions that mean the same or are
 * wrong.
 *
 * @param names of members that the readers ask for
 * @param texts that are worth a try as values
 * @param numbers likewise
 */
export function jsonMutator(
  names: readonly string[],
  texts: readonly string[],
  numbers: readonly number[] = [],
): Mutator {
  const all = [...NUMBERS, ...numbers.map(String), ...numbers.map(String)];
  return (input, random, other) => {
    const value = readJsonTree(input);
    if (value === undefined || random.oneIn(12)) return misspell(input, random, other);
    let root = value;
    for (let left = 1 + random.int(3); left > 0; left -= 1)
      root = changeTree(root, { random, names, texts, numbers: all, other });
    const text = write(root, random.oneIn(4) ? random : undefined);
    return random.oneIn(20) ? misspell(Buffer.from(text), random, other) : Buffer.from(text);
  };
}

/** @returns undefined for what is not JSON */
export function readJsonTree(input: Buffer): Json | undefined {
  try {
    return treeOf(JSON.parse(input.toString('utf8')));
  } catch {
    return undefined;
  }
}

function treeOf(value: unknown): Json {
  if (typeof value === 'number') return { raw: String(value) };
  if (Array.isArray(value)) return value.map(treeOf);
  if (typeof value !== 'object' || value === null) return value as Json;
  return { members: Object.entries(value).map(([name, member]) => [name, treeOf(member)]) };
}

interface Change {
  readonly random: Random;
  readonly names: readonly string[];
  readonly texts: readonly string[];
  readonly numbers: readonly string[];
  readonly other: () => Buffer;
}

/** Goes down to some value and changes it. */
function changeTree(value: Json, change: Change): Json {
  const { random } = change;
  const isNested = Array.isArray(value) ? value.length > 0 : isObject(value) && value.members.length > 0;
  if (!isNested) return random.oneIn(4) ? [value] : anyValue(change);
  if (random.oneIn(12)) return random.oneIn(2) ? anyValue(change) : nested(value, random);
  if (Array.isArray(value)) return changeList([...value], change);
  return isObject(value) ? { members: changeMembers([...value.members], change) } : value;
}

function changeList(items: Json[], change: Change): Json[] {
  const { random } = change;
  const index = random.int(items.length);
  const item = items[index] ?? null;
  switch (random.int(8)) {
    case 0:
      items.splice(index, 1);
      return items;
    case 1:
      items.splice(index, 0, ...Array.from({ length: random.oneIn(8) ? 1 + random.int(110) : 1 }, () => item));
      return items;
    case 2:
      items.splice(index, 0, anyValue(change));
      return items;
    case 3:
      return items.toReversed();
    default:
      items[index] = changeTree(item, change);
      return items;
  }
}

function changeMembers(members: [string, Json][], change: Change): [string, Json][] {
  const { random, names } = change;
  const index = random.int(members.length);
  const [name, value] = members[index] ?? ['', null];
  switch (random.int(10)) {
    case 0:
      members.splice(index, 1);
      return members;
    case 1:
      return [...members, [name, random.oneIn(2) ? value : anyValue(change)]];
    case 2:
      return [...members, [random.oneIn(4) ? '__proto__' : random.pick(names), anyValue(change)]];
    case 3:
      members[index] = [random.pick(names), value];
      return members;
    case 4:
      return members.toReversed();
    default:
      members[index] = [name, changeTree(value, change)];
      return members;
  }
}

function anyValue({ random, texts, numbers, other }: Change): Json {
  switch (random.int(9)) {
    case 0:
      return random.pick<Json>([null, true, false, [], { members: [] }, '']);
    case 1:
    case 2:
      return { raw: random.pick(numbers) };
    case 3:
      return String.fromCharCode(random.int(0x10000)).repeat(1 + random.int(3));
    case 4:
      return 'a'.repeat(1 << random.int(12));
    case 5: {
      const tree = readJsonTree(other());
      return tree === undefined ? null : someValue(tree, random);
    }
    default:
      return texts.length === 0 ? null : random.pick(texts);
  }
}

/** The value itself or one somewhere inside it. */
function someValue(value: Json, random: Random): Json {
  const inside = Array.isArray(value) ? value : isObject(value) ? value.members.map(([, member]) => member) : [];
  return inside.length === 0 || random.oneIn(3) ? value : someValue(random.pick(inside), random);
}

function nested(value: Json, random: Random): Json {
  let outer = value;
  for (let left = 1 + random.int(40); left > 0; left -= 1) {
    outer = random.oneIn(2) ? [outer] : { members: [['a', outer]] };
  }
  return outer;
}

function isObject(value: Json): value is { members: [string, Json][] } {
  return typeof value === 'object' && value !== null && 'members' in value;
}

/** @param random where given, the text has blanks and escapes that it does not need */
function write(value: Json, random: Random | undefined): string {
  const blank = random?.oneIn(6) === true ? random.pick([' ', '\n', '\t\r', '  ']) : '';
  return `${blank}${writeBare(value, random)}${blank}`;
}

function writeBare(value: Json, random: Random | undefined): string {
  if (typeof value === 'string') return writeText(value, random);
  if (Array.isArray(value)) return `[${value.map((item) => write(item, random)).join(',')}]`;
  if (isObject(value)) {
    return `{${value.members.map(([name, member]) => `${writeText(name, random)}:${write(member, random)}`).join(',')}}`;
  }
  return typeof value === 'object' && value !== null ? value.raw : String(value);
}

function writeText(text: string, random: Random | undefined): string {
  const quoted = JSON.stringify(text);
  if (random?.oneIn(4) !== true || text.length > 200) return quoted;
  const escaped = Array.from({ length: text.length }, (_, index) => escapedUnit(text.charCodeAt(index), random));
  return `"${escaped.join('')}"`;
}

function escapedUnit(unit: number, random: Random): string {
  if (unit === 0x2f && random.oneIn(2)) return '\\/';
  const digits = unit.toString(16).padStart(4, '0');
  return `\\u${random.oneIn(2) ? digits.toUpperCase() : digits}`;
}
