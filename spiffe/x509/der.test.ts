import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contextConstructed, contextPrimitive, DerReader, TAG } from './der.ts';
import {
  bitString,
  boolean,
  encode,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
  time,
} from './der-writer.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const reader = (text: string): DerReader => new DerReader(hex(text));
const invalid = (message: RegExp): object =>
  expect.objectContaining({ code: 'invalid-der', message: expect.stringMatching(message) });

describe('DerReader', () => {
  it.each([
    ['nothing', '', /it is missing or cut short/],
    ['a tag alone', '30', /cut short/],
    ['too little content', '30 03 0101', /cut short/],
    ['an indefinite length', '30 80 0000', /unsupported length/],
    ['a length in five bytes', '30 85 0000000001 00', /unsupported length/],
    ['a length that is cut short', '30 82 01', /cut short/],
    ['a long length for a short content', '30 81 01 00', /shortest form/],
    ['a padded length', `30 82 0080 ${'00'.repeat(128)}`, /shortest form/],
    ['a length beyond everything', '30 84 ffffffff', /cut short/],
    ['a tag of several bytes', '3f 21 00', /unsupported tag/],
    ['the end-of-contents tag', '00 00', /unsupported tag/],
  ])('refuses %s', (_name, text, message) => {
    expect(() => reader(text).element('it')).toThrow(invalid(message));
  });

  it('refuses another type than asked for, and bytes that nobody asked for', () => {
    expect(() => reader('0400').sequence('it')).toThrow(invalid(/it has an unexpected type/));
    expect(() => reader('0400').finish('it')).toThrow(invalid(/it has trailing bytes/));
  });

  it.each(['02 00', '02 02 0001', '02 02 ff80'])('refuses the INTEGER %s', (text) => {
    expect(() => reader(text).integer('it')).toThrow(invalid(/not a well-formed INTEGER/));
  });

  it('refuses numbers out of range', () => {
    expect(reader('02 04 7fffffff').smallInteger('it')).toBe(2 ** 31 - 1);
    expect(() => reader('02 01 ff').smallInteger('it')).toThrow(invalid(/out of range/));
    expect(() => reader('02 05 0080000000').smallInteger('it')).toThrow(invalid(/out of range/));
  });

  it.each(['01 00', '01 01 01', '01 02 ffff'])('refuses the BOOLEAN %s', (text) => {
    expect(() => reader(text).boolean('it')).toThrow(invalid(/not a well-formed BOOLEAN/));
  });

  it.each(['03 00', '03 01 01', '03 02 0880', '03 02 0101'])('refuses the BIT STRING %s', (text) => {
    expect(() => reader(text).bitString('it')).toThrow(invalid(/not a well-formed BIT STRING/));
  });

  it('tells bits from bytes', () => {
    expect(reader('03 02 0106').bitString('it')).toEqual({ bytes: hex('06'), unusedBits: 1 });
    expect(reader('03 01 00').bitStringBytes('it')).toEqual(hex(''));
    expect(() => reader('03 02 0106').bitStringBytes('it')).toThrow(invalid(/whole bytes/));
  });

  it('stops at a nesting that no certificate has', () => {
    let der = encode(TAG.null);
    for (let depth = 0; depth < 40; depth += 1) der = sequence(der);
    let at = new DerReader(der);
    expect(() => {
      for (;;) at = at.sequence('it');
    }).toThrow(invalid(/nested too deeply/));
  });

  it('hands out views, not copies', () => {
    const der = octetString(hex('010203'));
    const content = new DerReader(der).octetString('it');
    der[2] = 9;
    expect(content).toEqual(hex('090203'));
  });

  it('reads optional elements only when they are there', () => {
    const it = reader('80 01 07 04 01 08');
    expect(it.optional(contextPrimitive(1), 'x')).toBeUndefined();
    expect(it.optional(contextPrimitive(0), 'x')).toEqual(hex('07'));
    expect(it.peek()).toBe(TAG.octetString);
    expect(it.whole(TAG.octetString, 'x')).toEqual(hex('04 01 08'));
    expect([it.atEnd, it.peek()]).toEqual([true, 0]);
  });

  it('throws nothing but its own error, whatever it reads', () => {
    const walk = (it: DerReader): void => {
      while (!it.atEnd) {
        const { tag, content } = it.element('it');
        const again = new DerReader(encode(tag, content));
        if (tag === TAG.integer) again.integer('it');
        else if (tag === TAG.boolean) again.boolean('it');
        else if (tag === TAG.bitString) again.bitString('it');
        else if (tag === TAG.oid) again.oid('it');
        else if (tag === TAG.utcTime || tag === TAG.generalizedTime) again.time('it');
        else if ((tag & 0x20) !== 0) walk(new DerReader(content));
      }
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          walk(new DerReader(Buffer.from(bytes)));
        } catch (error) {
          expect(error).toMatchObject({ name: 'SpiffeError', code: 'invalid-der' });
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the writer', () => {
  it.each([0, 1, 127, 128, 255, 256, 65_535, 65_536])('writes lengths such as %i in their shortest form', (length) => {
    const content = Buffer.alloc(length, 7);
    expect(new DerReader(octetString(content)).octetString('it')).toEqual(content);
  });

  it('writes what the reader reads', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }), (value) => {
        expect(new DerReader(integer(value)).integer('it')).toBe(value);
      }),
    );
    expect(new DerReader(boolean(true)).boolean('it')).toBe(true);
    expect(new DerReader(boolean(false)).boolean('it')).toBe(false);
    expect(new DerReader(bitString(hex('a0'), 5)).bitString('it')).toEqual({ bytes: hex('a0'), unusedBits: 5 });
    expect(new DerReader(encode(contextConstructed(3), sequence())).enter(0xa3, 'it').sequence('it').atEnd).toBe(true);
  });

  it.each([
    [0n, '020100'],
    [127n, '02017f'],
    [128n, '02020080'],
    [-128n, '020180'],
    [-129n, '0202ff7f'],
  ])('writes %i as X.690 does', (value, expected) => {
    expect(integer(value).toString('hex')).toBe(expected);
  });

  it('sorts sets', () => {
    expect(setOf(hex('0c0162'), hex('0c0161')).toString('hex')).toBe('31060c01610c0162');
  });
});

describe('object identifiers', () => {
  it.each([
    ['2.5.29.17', '0603551d11'],
    ['1.2.840.113549.1.1.11', '06092a864886f70d01010b'],
    ['2.999.3', '0603883703'],
    ['0.39', '060127'],
    ['2.25.329800735698586629295641978511506172918', '06146983f09da7ebcfdee0c7a1a7b2c0948cc8f9d776'],
  ])('reads and writes %s', (dotted, expected) => {
    const der = objectIdentifier(dotted);
    expect(der.toString('hex')).toBe(expected);
    expect(new DerReader(der).oid('it')).toBe(dotted);
  });

  it.each(['06 00', '06 02 8001', '06 01 81', '06 03 550080', `06 41 ${'01'.repeat(65)}`])('refuses %s', (text) => {
    expect(() => reader(text).oid('it')).toThrow(invalid(/object identifier/));
  });

  it.each(['', '1', '3.1', '1.40', '1.02', 'x.1', '1..2'])('does not write %s', (dotted) => {
    expect(() => objectIdentifier(dotted)).toThrow(TypeError);
  });
});

describe('times', () => {
  const read = (tag: number, text: string): number => new DerReader(encode(tag, Buffer.from(text))).time('it');

  it.each([
    [TAG.utcTime, '300102030405Z', '2030-01-02T03:04:05Z'],
    [TAG.utcTime, '491231235959Z', '2049-12-31T23:59:59Z'],
    [TAG.utcTime, '500101000000Z', '1950-01-01T00:00:00Z'],
    [TAG.utcTime, '000229000000Z', '2000-02-29T00:00:00Z'],
    [TAG.generalizedTime, '20500101000000Z', '2050-01-01T00:00:00Z'],
    [TAG.generalizedTime, '00500101000000Z', '0050-01-01T00:00:00Z'],
    [TAG.generalizedTime, '99991231235959Z', '9999-12-31T23:59:59Z'],
  ])('reads %i %s', (tag, text, expected) => {
    expect(read(tag, text)).toBe(Date.parse(expected));
  });

  it.each([
    [TAG.utcTime, '3001020304Z'],
    [TAG.utcTime, '300102030405+0000'],
    [TAG.utcTime, '300102030405'],
    [TAG.utcTime, '300230000000Z'],
    [TAG.utcTime, '301301000000Z'],
    [TAG.utcTime, '300100000000Z'],
    [TAG.utcTime, '010229000000Z'],
    [TAG.utcTime, '300101240000Z'],
    [TAG.utcTime, '300101006000Z'],
    [TAG.utcTime, '300101000060Z'],
    [TAG.utcTime, ' 30101000000Z'],
    [TAG.utcTime, '300101000000Z\n'],
    [TAG.generalizedTime, '20500101000000.5Z'],
    [TAG.generalizedTime, '205001010000Z'],
    [TAG.octetString, '300102030405Z'],
  ])('refuses %i %s', (tag, text) => {
    expect(() => read(tag, text)).toThrow(invalid(/time/));
  });

  it('are written as UTCTime through 2049, whole seconds only', () => {
    expect(time(Date.parse('2049-12-31T23:59:59.999Z')).toString('latin1')).toBe('\x17\x0d491231235959Z');
    expect(time(Date.parse('2050-01-01T00:00:00Z')).toString('latin1')).toBe('\x18\x0f20500101000000Z');
    expect(() => time(Date.parse('1949-12-31T23:59:59Z'))).toThrow(RangeError);
    expect(() => time(Number.NaN)).toThrow(RangeError);
  });

  it('come back', () => {
    const min = Date.parse('1950-01-01T00:00:00Z') / 1000;
    const max = Date.parse('9999-12-31T23:59:59Z') / 1000;
    fc.assert(
      fc.property(fc.integer({ min, max }), (seconds) => {
        expect(new DerReader(time(seconds * 1000)).time('it')).toBe(seconds * 1000);
      }),
    );
  });
});
