import { describe, expect, it } from 'vitest';
import { goQuote, goQuoteAll } from './go-quote.ts';

describe('goQuote', () => {
  // What Go's %q prints for the same texts.
  it.each([
    ['plain text', '"plain text"'],
    ['a "b" \\c', '"a \\"b\\" \\\\c"'],
    ['\u0007\b\f\n\r\t\v', '"\\a\\b\\f\\n\\r\\t\\v"'],
    ['\u0000\u001b\u007f', '"\\x00\\x1b\\x7f"'],
    ['é中😀', '"é中😀"'],
    ['\u00a0\u200b', '"\\u00a0\\u200b"'],
    ['\u{e0001}', '"\\U000e0001"'],
    ['\ud800', '"\\ufffd"'],
  ])('writes %j', (text, quoted) => {
    expect(goQuote(text)).toBe(quoted);
  });

  it('writes lists', () => {
    expect(goQuoteAll([])).toBe('[]');
    expect(goQuoteAll(['a', 'b'])).toBe('["a" "b"]');
  });
});
