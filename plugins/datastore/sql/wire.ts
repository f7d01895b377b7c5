/**
 * As much of the protobuf wire format as the two messages in the database need. Written out by hand because the bytes
 * must equal those of other implementations on the same database: fields in order, defaults left out (proto3).
 */

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const MAX_FIELD = 2 ** 29 - 1;

/** Builds one message. Fields with their default value are not written. */
export class WireWriter {
  readonly #parts: Buffer[] = [];

  bytes(field: number, value: Buffer): this {
    return value.length === 0 ? this : this.message(field, value);
  }

  text(field: number, value: string): this {
    return this.bytes(field, Buffer.from(value, 'utf8'));
  }

  /** An int64, uint64 or bool; negative numbers in two's complement. */
  integer(field: number, value: bigint | number | boolean): this {
    const integer = BigInt.asUintN(64, BigInt(value));
    if (integer !== 0n) this.#parts.push(tag(field, VARINT), varint(integer));
    return this;
  }

  /** An element of a repeated field, or a message; written even when empty. */
  message(field: number, value: Buffer): this {
    this.#parts.push(tag(field, BYTES), varint(BigInt(value.length)), value);
    return this;
  }

  end(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

function tag(field: number, type: number): Buffer {
  return varint(BigInt(field * 8 + type));
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let left = value;
  while (left > 0x7fn) {
    bytes.push(Number(left & 0x7fn) | 0x80);
    left >>= 7n;
  }
  bytes.push(Number(left));
  return Buffer.from(bytes);
}

/** One field as it stands on the wire: an unsigned integer or a run of bytes. */
export interface WireField {
  readonly number: number;
  readonly integer: bigint;
  readonly bytes: Buffer;
}

const NO_BYTES = Buffer.alloc(0);

/**
 * The fields of a message in their order. Fixed-width fields, which our messages lack, are passed over like any
 * unknown field.
 *
 * @throws RangeError when the bytes are not a message
 */
export function* readFields(message: Buffer): Generator<WireField> {
  let at = 0;
  const integer = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[at];
      if (byte === undefined) throw new RangeError('the message ends inside an integer');
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new RangeError('an integer is longer than 10 bytes');
  };
  const take = (length: bigint): Buffer => {
    if (length > BigInt(message.length - at)) throw new RangeError('the message ends inside a field');
    const start = at;
    at += Number(length);
    return message.subarray(start, at);
  };
  while (at < message.length) {
    const key = integer();
    const number = Number(key >> 3n);
    if (number === 0 || number > MAX_FIELD) throw new RangeError('a field has a number that cannot be');
    const type = Number(key & 7n);
    if (type === VARINT) yield { number, integer: integer(), bytes: NO_BYTES };
    else if (type === BYTES) yield { number, integer: 0n, bytes: take(integer()) };
    else if (type === FIXED64) take(8n);
    else if (type === FIXED32) take(4n);
    else throw new RangeError(`a field has the wire type ${type}`);
  }
}
