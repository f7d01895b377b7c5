const INTEGER = /^[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])*|[1-9](?:_?\d)*)$/;

/**
 * Reads a whole number in any base of Go's literals: `10`, `-0x1f`, `0b1`, `0o17`, `017`, `1_000`.
 *
 * @returns undefined when it is no whole number; a number that is not a safe integer when it is too large
 */
export function parseInteger(text: string): number | undefined {
  if (!INTEGER.test(text)) return undefined;
  const plain = text.replace(/^[+-]/, '').replaceAll('_', '');
  const value = Number(/^0\d/.test(plain) ? `0o${plain.slice(1)}` : plain);
  return text.startsWith('-') && value !== 0 ? -value : value;
}
