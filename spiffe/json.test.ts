import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isJsonObject, JsonError, readJson, readJsonExact } from './json.ts';

const limits = { maxLength: 10_000, maxDepth: 8 };

describe('readJson', () => {
  it('agrees with JSON.parse on everything that JSON.stringify writes', () => {
    const withoutLoneSurrogates = fc.jsonValue({ stringUnit: 'binary' });
    fc.assert(
      fc.property(withoutLoneSurrogates, fc.constantFrom(0, 2), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(readJson(text, { maxLength: 1e6, maxDepth: 100 })).toEqual(JSON.parse(text));
      }),
    );
  });

  it('never accepts what JSON.parse refuses, and fails in one way only', () => {
    const nearlyJson = fc.string({
      unit: fc.constantFrom(...Array.from('{}[]",:\\u0019.eE+-truefalsn d8 \n\t\u0000é')),
    });
    fc.assert(
      fc.property(fc.oneof(fc.string(), nearlyJson), (text) => {
        try {
          readJson(text, limits);
        } catch (error) {
          expect(error).toBeInstanceOf(JsonError);
          return;
        }
        JSON.parse(text);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['repeated member', '{"a":1,"b":2,"a":1}', 'repeated member at offset 13'],
    ['repeated member by escape', '{"a":1,"\\u0061":1}', 'repeated member'],
    ['lone surrogate', '"\\ud800"', 'lone surrogate'],
    ['number out of range', '1e999', 'number out of range'],
    ['leading zero', '01', 'unexpected text'],
    ['control character', '"\n"', 'expected a string'],
    ['trailing comma', '[1,]', 'expected a value'],
    ['text behind', '{} x', 'unexpected text'],
    ['nothing', '', 'expected a value'],
    ['nesting', '[[[[[[[[[1]]]]]]]]]', 'too deeply nested'],
    ['length', `"${'a'.repeat(10_000)}"`, 'too long'],
  ])('refuses %s', (_what, text, message) => {
    expect(() => readJson(text, limits)).toThrow(message);
  });

  it('accepts the allowed depth, again and again', () => {
    expect(readJson('[[[[[[[[1]]]]]]],[[[[[[[1]]]]]]]]', limits)).toHaveLength(2);
    expect(readJson('[[1],[2],[3],[4],[5],[6],[7],[8],[9]]', limits)).toHaveLength(9);
  });

  it('reads UTF-8 and refuses malformed bytes and a byte order mark', () => {
    expect(readJson(Buffer.from('"é"'), limits)).toBe('é');
    expect(() => readJson(Buffer.from([0x22, 0xff, 0x22]), limits)).toThrow('malformed UTF-8');
    expect(() => readJson(Buffer.from('\ufeff1'), limits)).toThrow(JsonError);
  });

  it('keeps dangerous member names as plain members', () => {
    const value = readJson('{"__proto__":{"x":1},"constructor":2,"toString":3}', limits);
    expect(isJsonObject(value) && Object.keys(value)).toEqual(['__proto__', 'constructor', 'toString']);
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  it('reads integers as doubles, or exactly when asked', () => {
    expect(readJson('18446744073709551615', limits)).toBe(2 ** 64);
    expect(readJsonExact('[18446744073709551615,7,-9007199254740993,0,-0,1.0,1e2]', limits)).toEqual([
      18446744073709551615n,
      7n,
      -9007199254740993n,
      0n,
      -0,
      1,
      100,
    ]);
  });
});
