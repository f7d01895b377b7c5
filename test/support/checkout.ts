import { existsSync } from 'node:fs';
import path from 'node:path';

/**
 * The folder of the checkout, for a source of `test/` as well as for what is compiled from it below `dist` (bench, fuzz,
 * soak). Files that are not compiled, programs of `bin/` and preloads among them, are found from here.
 */
export const CHECKOUT: string = above(import.meta.dirname);

function above(start: string): string {
  for (let folder = start; folder !== path.dirname(folder); folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'package-lock.json'))) return folder;
  }
  throw new Error(`no package-lock.json above ${start}`);
}
