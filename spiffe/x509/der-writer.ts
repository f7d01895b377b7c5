import { TAG } from './der.ts';
import { formatTime } from './der-time.ts';
import { encodeOidContent } from './oid.ts';

/** An element of DER: `tag`, the shortest length, and the parts of the content one after the other. */
export function encode(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const head = length < 0x80 ? 2 : length < 0x100 ? 3 : length < 0x1_0000 ? 4 : length < 0x100_0000 ? 5 : 6;
  const out = Buffer.allocUnsafe(head + length);
  out[0] = tag;
  if (head === 2) out[1] = length;
  else {
    out[1] = 0x80 | (head - 2);
    out.writeUIntBE(length, 2, head - 2);
  }
  let at = head;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** A SEQUENCE of encoded elements. */
export const sequence = (...parts: readonly Uint8Array[]): Buffer => encode(TAG.sequence, ...parts);

/** A SET OF in its only DER order (X.690 11.6). */
export function setOf(...parts: readonly Uint8Array[]): Buffer {
  return encode(TAG.set, ...[...parts].sort((a, b) => Buffer.compare(a, b)));
}

/** An INTEGER, as short as DER demands. */
export function integer(value: bigint | number): Buffer {
  return encode(TAG.integer, integerContent(BigInt(value)));
}

function integerContent(value: bigint): Buffer {
  let size = 1;
  while (value >= 1n << BigInt(size * 8 - 1) || value < -(1n << BigInt(size * 8 - 1))) size += 1;
  return Buffer.from(
    BigInt.asUintN(size * 8, value)
      .toString(16)
      .padStart(size * 2, '0'),
    'hex',
  );
}

/** A BOOLEAN; DER knows only these two. */
export const boolean = (value: boolean): Buffer => Buffer.from([TAG.boolean, 1, value ? 0xff : 0]);

/** @param dotted such as `2.5.29.17` */
export const objectIdentifier = (dotted: string): Buffer => encode(TAG.oid, encodeOidContent(dotted));

/** An OCTET STRING. */
export const octetString = (...parts: readonly Uint8Array[]): Buffer => encode(TAG.octetString, ...parts);

/** A BIT STRING whose last byte has that many unused bits. */
export const bitString = (bytes: Uint8Array, unusedBits = 0): Buffer =>
  encode(TAG.bitString, Uint8Array.of(unusedBits), bytes);

/**
 * UTCTime or GeneralizedTime, whichever RFC 5280 4.1.2.5 asks for.
 *
 * @param milliseconds Unix milliseconds; fractions of a second are cut off
 */
export function time(milliseconds: number): Buffer {
  const { utc, text } = formatTime(milliseconds);
  return encode(utc ? TAG.utcTime : TAG.generalizedTime, Buffer.from(text, 'latin1'));
}
