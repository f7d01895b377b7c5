import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from './errors.ts';

/** The release of the reference that we stand in for; reported wherever a protocol, a schema or an agent asks. */
export const COMPATIBLE_VERSION = '1.15.3';

/**
 * Our own version, from the package that `start` is in: its folder or one above, as sources run one level higher than
 * what is built from them.
 *
 * @param start a file of the package
 */
export function ownVersion(start: string = fileURLToPath(import.meta.url)): string {
  for (let folder = path.dirname(start); ; folder = path.dirname(folder)) {
    const found = readPackage(path.join(folder, 'package.json'));
    if (found !== undefined) return found;
    if (folder === path.dirname(folder)) throw new Error(`no package.json of finial above ${start}`);
  }
}

/** The version in `file` when it is our package's. */
function readPackage(file: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return undefined;
    throw new Error(`cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
  const content: unknown = JSON.parse(text);
  if (typeof content !== 'object' || content === null || !('name' in content) || content.name !== 'finial')
    return undefined;
  return 'version' in content && typeof content.version === 'string' ? content.version : undefined;
}

/** The version of this build. */
export const VERSION: string = ownVersion();
