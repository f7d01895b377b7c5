import { readFileSync } from 'node:fs';
import path from 'node:path';

/** A text as the vector files spell it: plain, or parts of which some are repeated. */
export type VectorText = string | readonly (string | { readonly repeat: string; readonly times: number })[];

export function vectorText(text: VectorText): string {
  if (typeof text === 'string') return text;
  return text.map((part) => (typeof part === 'string' ? part : part.repeat.repeat(part.times))).join('');
}

/** What callers without types might hand over instead of text; the `td` in some would do as a trust domain. */
export const NO_TEXTS = {
  undefined: undefined,
  null: null,
  number: 7,
  array: ['td'],
  Buffer: Buffer.from('spiffe://td/a'),
  URL: new URL('spiffe://td/a'),
  String: Object('spiffe://td/a') as unknown,
} as const;

export type NoText = keyof typeof NO_TEXTS;

/** The bytes, as characters in their order, for which `read` does not throw. */
export function acceptedBytes(read: (byte: string) => unknown): string {
  const bytes = Array.from({ length: 256 }, (_none, code) => String.fromCharCode(code));
  return bytes
    .filter((byte) => {
      try {
        read(byte);
        return true;
      } catch {
        return false;
      }
    })
    .join('');
}

/** Reads a file of test/vectors; the caller names its shape. */
export function readVectors(name: string): unknown {
  return JSON.parse(readFileSync(path.join(import.meta.dirname, '../vectors', name), 'utf8'));
}
