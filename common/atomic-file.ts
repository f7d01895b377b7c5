import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';

/**
 * Replaces the file at `file` so that a crash at any moment leaves either the old content or the new one, whole: the data
 * goes to `<file>.tmp` beside it, is synced, takes the name, and then the folder is synced.
 *
 * The caller runs one write of a file at a time.
 *
 * @param mode permission bits of the new file, whatever the umask and the old file's are
 */
export async function replaceFile(file: string, data: string | Uint8Array, mode: number): Promise<void> {
  const temporary = `${file}.tmp`;
  // What a crash left behind must not lend its mode, or a link its target, to the new content.
  await rm(temporary, { force: true });
  const handle = await open(temporary, 'wx', mode);
  try {
    await handle.chmod(mode);
    await handle.writeFile(data);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  await syncFolder(path.dirname(file));
}

/** Without this the rename itself may be lost with the machine's power. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
