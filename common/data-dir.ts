import { mkdirSync } from 'node:fs';
import { FinialError, messageOf } from './errors.ts';

/**
 * Makes the folder in which a process keeps its state, and the folders above it; one that is there stays as it is.
 *
 * @throws FinialError `failed-precondition`
 */
export function makeDataDir(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
  } catch (error) {
    const why = messageOf(error);
    throw new FinialError('failed-precondition', `could not create data directory ${folder}: ${why}`, { cause: error });
  }
}
