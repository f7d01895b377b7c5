import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { replaceFile } from './atomic-file.ts';
import { FinialError, messageOf } from './errors.ts';

const OWNER_ONLY = 0o600;
/** Beyond these nothing is copied any more, since the oldest one is the likeliest to be missed. */
const MOST_COPIES = 5;

/**
 * Copies a file that seems to be someone else's to `<file>.<time>.bak` beside it, for its owner only, before it is written
 * over. What a copy holds already is not copied again.
 *
 * @param now Unix milliseconds
 * @returns the path of the copy; undefined when there are five others, or no file
 * @throws FinialError `internal` naming the copy that cannot be made
 */
export async function spareCopy(file: string, now: number): Promise<string | undefined> {
  const folder = path.dirname(file);
  const time = new Date(now).toISOString().replaceAll(/[-:]/g, '');
  const copy = `${file}.${time}.bak`;
  try {
    const content = await readFile(file);
    const names = await readdir(folder);
    const copies = names.filter((name) => name.startsWith(`${path.basename(file)}.`) && name.endsWith('.bak'));
    for (const name of copies) {
      const other = path.join(folder, name);
      if ((await readFile(other)).equals(content)) return other;
    }
    if (copies.length >= MOST_COPIES) return undefined;
    await replaceFile(copy, content, OWNER_ONLY);
    return copy;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new FinialError('internal', `unable to copy ${file} to ${copy}: ${messageOf(error)}`, { cause: error });
  }
}
