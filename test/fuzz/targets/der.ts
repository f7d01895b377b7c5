import { contextPrimitive, DerReader, TAG } from '../../../spiffe/x509/der.ts';
import { decodeString } from '../../../spiffe/x509/der-string.ts';
import { bitString, boolean, encode, integer, objectIdentifier, time } from '../../../spiffe/x509/der-writer.ts';
import { mixed, mutateBytes } from '../mutate/bytes.ts';
import { mutateDer } from '../mutate/der.ts';
import { must, mustBeSame, outcomeOf, ruleOf, type Target } from '../target.ts';
import { spiffeErrors } from './refusal.ts';

const CONSTRUCTED = 0x20;
const STRINGS: readonly number[] = [
  ...[TAG.utf8String, TAG.printableString, TAG.ia5String, TAG.numericString, TAG.bmpString, TAG.t61String],
];

const of = (make: (size: number) => Buffer) => make;

/** The reader of DER against the writer: what is read has one encoding only, and that is what was read. */
export const derTarget: Target = {
  name: 'der',
  maxLength: 4096,
  mutate: mixed([3, mutateDer], [2, mutateBytes]),
  growth: [
    { what: 'elements', from: 20_000, of: of((size) => Buffer.alloc(size * 2, Buffer.of(5, 0))) },
    { what: 'a long integer', from: 20_000, of: of((size) => encode(TAG.integer, Buffer.alloc(size, 1))) },
    { what: 'a long identifier', from: 20_000, of: of((size) => encode(TAG.oid, Buffer.alloc(size, 0x81))) },
    { what: 'a long text', from: 100_000, of: of((size) => encode(TAG.utf8String, Buffer.alloc(size, 'a'))) },
    { what: 'a long time', from: 100_000, of: of((size) => encode(TAG.utcTime, Buffer.alloc(size, '1'))) },
    { what: 'nesting', from: 500, of: of((size) => Buffer.alloc(size * 4, Buffer.from('30820000', 'hex'))) },
  ],
  execute(input) {
    const outcome = outcomeOf(() => walk(new DerReader(input), 0), spiffeErrors('invalid-der'));
    return 'refused' in outcome ? ruleOf(outcome.refused) : `accepted ${outcome.value}`;
  },
};

/** Reads everything by its tag. @returns how deeply it is nested */
function walk(reader: DerReader, depth: number): number {
  let deepest = depth;
  must(depth <= 17, 'nesting is bounded');
  while (!reader.atEnd) {
    const tag = reader.peek();
    if ((tag & CONSTRUCTED) !== 0 && (tag & 0x1f) !== 0x1f) {
      deepest = Math.max(deepest, walk(reader.enter(tag, 'constructed'), depth + 1));
    } else readPrimitive(reader, tag);
  }
  reader.finish('all');
  return deepest;
}

function readPrimitive(reader: DerReader, tag: number): void {
  if (tag === TAG.integer) return sameAgain(reader, readInteger);
  if (tag === TAG.oid) return sameAgain(reader, (one) => objectIdentifier(one.oid('oid')));
  if (tag === TAG.boolean) return sameAgain(reader, (one) => boolean(one.boolean('boolean')));
  if (tag === TAG.bitString) {
    return sameAgain(reader, (one) => {
      const { bytes, unusedBits } = one.bitString('bit string');
      return bitString(bytes, unusedBits);
    });
  }
  if (tag === TAG.utcTime || tag === TAG.generalizedTime) return readTime(reader);
  return sameAgain(reader, (one) => {
    const { content } = one.element('element');
    if (STRINGS.includes(tag)) checkText(tag, content);
    mustBeSame(new DerReader(encode(tag, content)).optional(contextPrimitive(0x1f), 'other'), undefined, 'optional');
    return encode(tag, content);
  });
}

/** Its own writer is made for numbers of certificates, and slow with long ones. */
function readInteger(reader: DerReader): Buffer {
  const value = reader.integer('integer');
  return value.toString(16).length > 200 ? encode(TAG.integer, twosComplement(value)) : integer(value);
}

function twosComplement(value: bigint): Buffer {
  const digits = (value < 0n ? -value - 1n : value).toString(16);
  // A digit more than the magnitude has holds the sign.
  const size = Math.floor(digits.length / 2) + 1;
  const text = BigInt.asUintN(size * 8, value)
    .toString(16)
    .padStart(size * 2, '0');
  const bytes = Buffer.from(text, 'hex');
  const isPadded = bytes[0] === (value < 0n ? 0xff : 0) && (bytes[1] ?? 0) >= 0x80 === value < 0n;
  return isPadded ? bytes.subarray(1) : bytes;
}

/** What `read` made of the next element, written again, is the element. */
function sameAgain(reader: DerReader, read: (reader: DerReader) => Buffer): void {
  const { der } = reader.element('element');
  const again = read(new DerReader(der));
  must(again.equals(der), `one encoding only: ${again.toString('hex')} and not ${der.toString('hex')}`.slice(0, 200));
}

function readTime(reader: DerReader): void {
  const { der, content, tag } = reader.element('time');
  const milliseconds = new DerReader(der).time('time');
  const text = content.toString('latin1');
  const year = tag === TAG.generalizedTime ? '' : Number(text.slice(0, 2)) < 50 ? '20' : '19';
  const iso = `${year}${text}`.replace(/^(....)(..)(..)(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z');
  mustBeSame(milliseconds, Date.parse(iso), 'the time as Date reads it');
  if (tag === TAG.utcTime) must(time(milliseconds).equals(der), 'one encoding only of a UTCTime');
}

function checkText(tag: number, content: Buffer): void {
  const outcome = outcomeOf(() => decodeString(tag, content, 'text'), spiffeErrors('invalid-der'));
  if ('refused' in outcome) return;
  if (tag === TAG.utf8String) must(Buffer.from(outcome.value, 'utf8').equals(content), 'UTF-8 that reads back');
  else if (tag === TAG.bmpString) must(content.length - outcome.value.length * 2 <= 2, 'two bytes a character');
  else must(Buffer.from(outcome.value, 'latin1').equals(content), 'one byte a character');
}
