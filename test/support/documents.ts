import { readFileSync } from 'node:fs';
import path from 'node:path';
import { CHECKOUT } from './checkout.ts';

/** A page of docs/ as one line without marks of emphasis, so that a statement can be found however it is wrapped. */
export function documentText(page: string): string {
  const text = readFileSync(path.join(CHECKOUT, 'docs', page), 'utf8');
  return text.replaceAll('**', '').replaceAll(/\s+/g, ' ');
}
