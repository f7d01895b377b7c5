import { SpiffeError } from '../error.ts';
import { readGeneralizedTime, readUtcTime } from './der-time.ts';
import { decodeOidContent } from './oid.ts';

/** Identifier octets (X.690 8.1.2) of the types that X.509 uses. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  t61String: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** `[n]` around a whole element (explicit), or in place of the tag of a constructed one. */
export const contextConstructed = (n: number): number => 0xa0 | n;

/** `[n]` in place of the tag of a primitive element (implicit). */
export const contextPrimitive = (n: number): number => 0x80 | n;

/** The deepest nesting that is read. A certificate needs 8. */
const MAX_DEPTH = 16;

/** The content of a BIT STRING. */
export interface BitString {
  readonly bytes: Buffer;
  /** How many low bits of the last byte do not count, 0 to 7. */
  readonly unusedBits: number;
}

/** One element as it stands: its tag, its content and all its bytes. */
export interface Element {
  readonly tag: number;
  readonly content: Buffer;
  readonly der: Buffer;
}

/**
 * Reads DER (X.690 10) from front to back, strictly: definite lengths in their shortest form, one-byte tags, the
 * shortest INTEGERs and OBJECT IDENTIFIERs, BOOLEANs of 00 or ff. What it hands out are views of the input, not copies.
 *
 * Every method throws SpiffeError `invalid-der` that names the place (`what`) and the rule, never the content.
 */
export class DerReader {
  readonly #data: Buffer;
  readonly #end: number;
  readonly #depth: number;
  #at: number;

  constructor(data: Buffer, start = 0, end = data.length, depth = 0) {
    if (depth > MAX_DEPTH) throw new SpiffeError('invalid-der', 'nested too deeply');
    this.#data = data;
    this.#at = start;
    this.#end = end;
    this.#depth = depth;
  }

  get atEnd(): boolean {
    return this.#at >= this.#end;
  }

  /** The tag of the next element, or 0 at the end. */
  peek(): number {
    return this.atEnd ? 0 : (this.#data[this.#at] ?? 0);
  }

  /** Refuses whatever is left over: DER has no trailing bytes. */
  finish(what: string): void {
    if (!this.atEnd) throw new SpiffeError('invalid-der', `${what} has trailing bytes`);
  }

  /** The next element, whatever its tag. */
  element(what: string): Element {
    const start = this.#at;
    const tag = this.peek();
    const from = this.#header(undefined, what);
    return { tag, content: this.#data.subarray(from, this.#at), der: this.#data.subarray(start, this.#at) };
  }

  /** The content of the next element, which must have this tag. */
  content(tag: number, what: string): Buffer {
    const from = this.#header(tag, what);
    return this.#data.subarray(from, this.#at);
  }

  /** The next element with its tag and length, which must have this tag. */
  whole(tag: number, what: string): Buffer {
    const start = this.#at;
    this.#header(tag, what);
    return this.#data.subarray(start, this.#at);
  }

  /** A reader of the content of the next element, which must have this tag. */
  enter(tag: number, what: string): DerReader {
    const from = this.#header(tag, what);
    return new DerReader(this.#data, from, this.#at, this.#depth + 1);
  }

  sequence(what: string): DerReader {
    return this.enter(TAG.sequence, what);
  }

  /** The content of the next element if it has this tag, else undefined and nothing is read. */
  optional(tag: number, what: string): Buffer | undefined {
    return this.peek() === tag ? this.content(tag, what) : undefined;
  }

  /** The two's complement of an INTEGER in its shortest form (X.690 8.3.2). */
  integerContent(what: string): Buffer {
    const bytes = this.content(TAG.integer, what);
    // By index: destructuring a Buffer goes through its iterator, which is slow.
    const first = bytes[0] ?? 0;
    const second = bytes[1] ?? 0;
    const padded = bytes.length > 1 && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
    if (bytes.length === 0 || padded) throw new SpiffeError('invalid-der', `${what} is not a well-formed INTEGER`);
    return bytes;
  }

  integer(what: string): bigint {
    const bytes = this.integerContent(what);
    const magnitude = BigInt(`0x${bytes.toString('hex')}`);
    return (bytes[0] ?? 0) < 0x80 ? magnitude : magnitude - (1n << BigInt(bytes.length * 8));
  }

  /** An INTEGER from 0 to 2^31 - 1, as versions and path lengths are. */
  smallInteger(what: string): number {
    const bytes = this.integerContent(what);
    if (bytes.length > 4 || (bytes[0] ?? 0) > 0x7f) throw new SpiffeError('invalid-der', `${what} is out of range`);
    return bytes.readUIntBE(0, bytes.length);
  }

  boolean(what: string): boolean {
    const bytes = this.content(TAG.boolean, what);
    if (bytes.length !== 1 || (bytes[0] !== 0 && bytes[0] !== 0xff)) {
      throw new SpiffeError('invalid-der', `${what} is not a well-formed BOOLEAN`);
    }
    return bytes[0] === 0xff;
  }

  /** The dotted form. */
  oid(what: string): string {
    return decodeOidContent(this.content(TAG.oid, what), what);
  }

  octetString(what: string): Buffer {
    return this.content(TAG.octetString, what);
  }

  /** X.690 8.6.2, 11.2.1: the unused bits are zero. `tag` is another one where the type is implicit. */
  bitString(what: string, tag: number = TAG.bitString): BitString {
    const content = this.content(tag, what);
    const unusedBits = content[0] ?? 0;
    const last = content.length > 1 ? (content.at(-1) ?? 0) : 0;
    const wellFormed =
      content.length > 0 &&
      unusedBits < 8 &&
      (content.length > 1 || unusedBits === 0) &&
      (last & ((1 << unusedBits) - 1)) === 0;
    if (!wellFormed) throw new SpiffeError('invalid-der', `${what} is not a well-formed BIT STRING`);
    return { bytes: content.subarray(1), unusedBits };
  }

  /** The bytes of a BIT STRING that holds whole bytes, as keys and signatures do. */
  bitStringBytes(what: string): Buffer {
    const { bytes, unusedBits } = this.bitString(what);
    if (unusedBits !== 0) throw new SpiffeError('invalid-der', `${what} does not hold whole bytes`);
    return bytes;
  }

  /** UTCTime or GeneralizedTime, in Unix milliseconds. */
  time(what: string): number {
    const { tag, content } = this.element(what);
    if (tag === TAG.utcTime) return readUtcTime(content.toString('latin1'), what);
    if (tag === TAG.generalizedTime) return readGeneralizedTime(content.toString('latin1'), what);
    throw new SpiffeError('invalid-der', `${what} is not a time`);
  }

  /** Moves behind the next element and returns where its content begins. */
  #header(wanted: number | undefined, what: string): number {
    const data = this.#data;
    const start = this.#at;
    if (start + 2 > this.#end) throw new SpiffeError('invalid-der', `${what} is missing or cut short`);
    const tag = data[start] ?? 0;
    if (wanted !== undefined && tag !== wanted) throw new SpiffeError('invalid-der', `${what} has an unexpected type`);
    if ((tag & 0x1f) === 0x1f || tag === 0) throw new SpiffeError('invalid-der', `${what} has an unsupported tag`);
    const first = data[start + 1] ?? 0;
    let from = start + 2;
    let length = first;
    if (first >= 0x80) {
      const count = first & 0x7f;
      // 0x80 is the indefinite form, and more than four bytes of length cannot fit any input.
      if (count === 0 || count > 4) throw new SpiffeError('invalid-der', `${what} has an unsupported length`);
      if (from + count > this.#end) throw new SpiffeError('invalid-der', `${what} is missing or cut short`);
      length = data.readUIntBE(from, count);
      from += count;
      if (length < 0x80 || length < 2 ** (8 * (count - 1))) {
        throw new SpiffeError('invalid-der', `${what} has a length that is not in its shortest form`);
      }
    }
    if (length > this.#end - from) throw new SpiffeError('invalid-der', `${what} is cut short`);
    this.#at = from + length;
    return from;
  }
}
