import type { Random } from '../random.ts';
import type { Mutator } from '../target.ts';
import { mutateBytes } from './bytes.ts';
import { mutateDer } from './der.ts';
import { textMutator } from './text.ts';

/** A field of a message as it stands on the wire. */
interface Field {
  readonly number: number;
  readonly type: number;
  /** Without the length of a field that has one. */
  readonly content: Buffer;
}

const LENGTH_DELIMITED = 2;
const mutateText = textMutator([
  'spiffe://',
  'example.org',
  'spiffe://example.org/x',
  'td',
  '__proto__',
  'constructor',
]);

/**
 * Changes messages of Protocol Buffers by their fields, and what is in them by what it looks like.
 *
 * @param inside how other contents are changed
 */
export function protobufMutator(inside: Mutator): Mutator {
  const mutate: Mutator = (input, random, other) => {
    const fields = readFields(input);
    if (fields === undefined || fields.length === 0 || random.oneIn(20)) return mutateBytes(input, random, other);
    for (let left = 1 + random.int(2); left > 0; left -= 1) change(fields, random, other);
    return Buffer.concat(fields.map(writeField));
  };
  const change = (fields: Field[], random: Random, other: () => Buffer): void => {
    const at = random.int(fields.length);
    const field = fields[at];
    if (field === undefined) return;
    const theirs = readFields(other()) ?? fields;
    switch (random.int(12)) {
      case 0:
        fields.splice(at, 1);
        return;
      case 1:
        fields.splice(at, 0, ...Array.from({ length: random.oneIn(10) ? 1 + random.int(40) : 1 }, () => field));
        return;
      case 2:
        if (theirs.length > 0) fields.splice(random.int(fields.length + 1), 0, random.pick(theirs));
        return;
      case 3:
        fields[at] = { ...field, number: 1 + random.int(8) };
        return;
      case 4:
        fields[at] = { ...field, type: random.int(8) };
        return;
      case 5:
        fields[at] = { ...field, content: Buffer.of() };
        return;
      default:
        fields[at] = { ...field, content: changeContent(field, random, theirs) };
    }
  };
  const changeContent = (field: Field, random: Random, theirs: readonly Field[]): Buffer => {
    const alike = theirs.filter(({ number, type }) => number === field.number && type === field.type);
    const other = (): Buffer => (alike.length === 0 ? field.content : random.pick(alike).content);
    return contentMutator(field.content, mutate, inside)(field.content, random, other);
  };
  return mutate;
}

function contentMutator(content: Buffer, message: Mutator, inside: Mutator): Mutator {
  if (content[0] === 0x30) return mutateDer;
  const text = content.toString('utf8');
  if (text.startsWith('{') || text.startsWith('eyJ')) return inside;
  // A message of more than one field is hardly text, and text is hardly a message.
  return /^[\x20-\x7e]*$/.test(text) || readFields(content) === undefined ? mutateText : message;
}

function readFields(bytes: Buffer): Field[] | undefined {
  const fields: Field[] = [];
  for (let at = 0; at < bytes.length; ) {
    const key = readVarint(bytes, at);
    if (key === undefined) return undefined;
    const [number, type] = [key.value >>> 3, key.value & 7];
    const content = contentOf(bytes, key.end, type);
    if (number === 0 || content === undefined) return undefined;
    fields.push({ number, type, content: bytes.subarray(content.from, content.to) });
    at = content.to;
  }
  return fields;
}

function contentOf(bytes: Buffer, at: number, type: number): { from: number; to: number } | undefined {
  const size = type === 1 ? 8 : type === 5 ? 4 : undefined;
  if (size !== undefined) return at + size > bytes.length ? undefined : { from: at, to: at + size };
  const varint = readVarint(bytes, at);
  if (varint === undefined || (type !== 0 && type !== LENGTH_DELIMITED)) return undefined;
  if (type === 0) return { from: at, to: varint.end };
  const to = varint.end + varint.value;
  return to > bytes.length ? undefined : { from: varint.end, to };
}

function readVarint(bytes: Buffer, from: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let at = from; at < Math.min(bytes.length, from + 5); at += 1) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * (at - from));
    if (byte < 0x80) return { value, end: at + 1 };
  }
  return undefined;
}

function writeField({ number, type, content }: Field): Buffer {
  const length = type === LENGTH_DELIMITED ? varint(content.length) : Buffer.of();
  return Buffer.concat([varint((number << 3) | type), length, content]);
}

/** @param value below 2^31 */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left >>>= 7) bytes.push((left & 0x7f) | 0x80);
  return Buffer.from([...bytes, left]);
}
