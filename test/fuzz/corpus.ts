import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** The inputs of one target in `folder`, in an order that is the same everywhere. */
export function readCorpus(folder: string, target: string): Buffer[] {
  const below = path.join(folder, target);
  return filesOf(below).map((file) => readFileSync(path.join(below, file)));
}

/** Replaces the inputs of one target. */
export function writeCorpus(folder: string, target: string, inputs: readonly Buffer[]): void {
  const below = path.join(folder, target);
  rmSync(below, { recursive: true, force: true });
  mkdirSync(below, { recursive: true });
  for (const input of inputs) writeFileSync(path.join(below, nameOf(input)), input);
}

/** The same input always has the same name. */
export function nameOf(input: Buffer): string {
  return createHash('sha256').update(input).digest('hex').slice(0, 12);
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
