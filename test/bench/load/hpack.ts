// Header compression (RFC 7541) as far as a client needs that allows its server no dynamic table.

/** Bits of the Huffman code of each byte, RFC 7541 appendix B. The code is canonical, so the lengths tell all of it. */
const CODE_LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26,
];

const SYMBOLS = huffmanSymbols();

/** Symbols by `length:code`. */
function huffmanSymbols(): ReadonlyMap<string, number> {
  const symbols = new Map<string, number>();
  const order = CODE_LENGTHS.map((length, symbol) => ({ length, symbol })).toSorted(
    (a, b) => a.length - b.length || a.symbol - b.symbol,
  );
  let code = 0;
  let before = order[0]?.length ?? 0;
  for (const { length, symbol } of order) {
    code *= 2 ** (length - before);
    before = length;
    symbols.set(`${length}:${code}`, symbol);
    code += 1;
  }
  return symbols;
}

function huffmanDecode(bytes: Buffer): string {
  const out: number[] = [];
  let code = 0;
  let length = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit -= 1) {
      code = code * 2 + ((byte >> bit) & 1);
      length += 1;
      const symbol = SYMBOLS.get(`${length}:${code}`);
      if (symbol === undefined) continue;
      out.push(symbol);
      code = 0;
      length = 0;
    }
  }
  // What is left over is padding: fewer than eight ones.
  if (length > 7 || code !== 2 ** length - 1) throw new Error('a Huffman-coded header does not end in padding');
  return Buffer.from(out).toString('latin1');
}

/** Names of the static table that answers use, by index; those with a value of their own likewise. */
const STATIC: Readonly<Record<number, readonly [name: string, value: string]>> = {
  8: [':status', '200'],
  9: [':status', '204'],
  10: [':status', '206'],
  11: [':status', '304'],
  12: [':status', '400'],
  13: [':status', '404'],
  14: [':status', '500'],
};

/**
 * Reads a header block of a server that was told to keep no dynamic table. Names of the static table that no answer of
 * gRPC depends on are given as `#index`.
 *
 * @throws Error when the server refers to a dynamic table, or the block is malformed
 */
export function decodeHeaders(block: Buffer): Map<string, string> {
  const headers = new Map<string, string>();
  let at = 0;
  const integer = (prefixBits: number): number => {
    const most = 2 ** prefixBits - 1;
    let value = (block[at++] ?? 0) & most;
    if (value < most) return value;
    for (let shift = 1; ; shift *= 128) {
      const byte = block[at++];
      if (byte === undefined) throw new Error('a header block ends early');
      value += (byte & 0x7f) * shift;
      if (byte < 128) return value;
    }
  };
  const string = (): string => {
    const huffman = ((block[at] ?? 0) & 0x80) !== 0;
    const length = integer(7);
    const bytes = block.subarray(at, at + length);
    if (bytes.length < length) throw new Error('a header block ends early');
    at += length;
    return huffman ? huffmanDecode(bytes) : bytes.toString('latin1');
  };
  while (at < block.length) {
    const first = block[at] ?? 0;
    if (first >= 0x80) {
      const index = integer(7);
      if (index > 61) throw new Error('the server uses a dynamic table of headers that it was told not to keep');
      const [name, value] = STATIC[index] ?? [`#${index}`, ''];
      headers.set(name, value);
    } else if (first >= 0x20 && first < 0x40) {
      if (integer(5) > 0) throw new Error('the server wants a dynamic table of headers that it was told not to keep');
    } else {
      const index = integer(first >= 0x40 ? 6 : 4);
      if (index > 61) throw new Error('the server uses a dynamic table of headers that it was told not to keep');
      const name = index === 0 ? string() : (STATIC[index]?.[0] ?? `#${index}`);
      headers.set(name, string());
    }
  }
  return headers;
}
