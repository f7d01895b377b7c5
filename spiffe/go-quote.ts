const SPECIAL = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]|["\\]/gu;

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

/** Text in double quotes as Go's `%q` writes it: what cannot be printed, and what would end the line, is escaped. */
export function goQuote(text: string): string {
  return `"${text.replace(SPECIAL, (char) => SHORT[char] ?? escape(char.codePointAt(0) ?? 0))}"`;
}

/** Texts in brackets, as `%q` writes a list of them. */
export function goQuoteAll(texts: readonly string[]): string {
  return `[${texts.map(goQuote).join(' ')}]`;
}

function escape(code: number): string {
  // Half of a surrogate pair is no character.
  const hex = (code >= 0xd800 && code <= 0xdfff ? 0xfffd : code).toString(16);
  if (code < 0x80) return `\\x${hex.padStart(2, '0')}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
