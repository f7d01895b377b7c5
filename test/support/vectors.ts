import { readFileSync } from 'node:fs';
import path from 'node:path';

/** A text as the vector files spell it: plain, or parts of which some are repeated. */
export type VectorText = string | readonly (string | { readonly repeat: string; readonly times: number })[];

export function vectorText(text: VectorText): string {
  if (typeof text === 'string') return text;
  return text.map((part) => (typeof part === 'string' ? part : part.repeat.repeat(part.times))).join('');
}

/** Reads a file of test/vectors; the caller names its shape. */
export function readVectors(name: string): unknown {
  return JSON.parse(readFileSync(path.join(import.meta.dirname, '../vectors', name), 'utf8'));
}
