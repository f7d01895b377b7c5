import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readFields, type WireField, WireWriter } from './wire.ts';

const fieldsOf = (bytes: Buffer): WireField[] => [...readFields(bytes)];

describe('wire format', () => {
  it('leaves out defaults and keeps elements that are empty', () => {
    const writer = new WireWriter()
      .text(1, '')
      .bytes(2, Buffer.alloc(0))
      .integer(3, 0)
      .integer(4, false)
      .integer(5, 0n);
    expect(writer.end()).toEqual(Buffer.alloc(0));
    expect(writer.message(6, Buffer.alloc(0)).end()).toEqual(Buffer.from([0x32, 0]));
  });

  it('writes what the encoding guide of protobuf shows', () => {
    expect(new WireWriter().integer(1, 150).end()).toEqual(Buffer.from('089601', 'hex'));
    expect(new WireWriter().text(2, 'testing').end()).toEqual(Buffer.from('120774657374696e67', 'hex'));
    expect(new WireWriter().integer(1, -2).end()).toEqual(Buffer.from('08feffffffffffffffff01', 'hex'));
    expect(new WireWriter().integer(16, true).end()).toEqual(Buffer.from('800101', 'hex'));
  });

  it('reads back what it writes', () => {
    const field = fc.integer({ min: 1, max: 2 ** 29 - 1 });
    fc.assert(
      fc.property(
        field,
        fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
        field,
        fc.uint8Array({ minLength: 1 }),
        (a, n, b, bytes) => {
          const data = new WireWriter().integer(a, n).bytes(b, Buffer.from(bytes)).end();
          const [first, second, ...rest] = fieldsOf(data);
          expect(first).toMatchObject({ number: a, integer: n });
          expect(second).toMatchObject({ number: b, bytes: Buffer.from(bytes) });
          expect(rest).toEqual([]);
        },
      ),
    );
  });

  it('passes over fixed-width fields', () => {
    const data = Buffer.concat([
      Buffer.from('09ffffffffffffffff', 'hex'),
      Buffer.from('15ffffffff', 'hex'),
      Buffer.from('1801', 'hex'),
    ]);
    expect(fieldsOf(data)).toMatchObject([{ number: 3, integer: 1n }]);
  });

  it.each([
    '08',
    '0880',
    '808080808001',
    '0a05aa',
    '0affffffffffffffffff01',
    '00',
    '0b',
    '09ffff',
    '08ffffffffffffffffffff01',
  ])('refuses %s', (hex) => {
    expect(() => fieldsOf(Buffer.from(hex, 'hex'))).toThrow(RangeError);
  });

  it('ends on any bytes, with fields or a RangeError', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        try {
          for (const { bytes: part } of readFields(Buffer.from(bytes)))
            expect(part.length).toBeLessThanOrEqual(bytes.length);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });
});
