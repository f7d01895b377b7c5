import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';

/** The operations on files that a replacement needs; tests let each of them fail. */
export interface FileOperations {
  open(file: string, flags: string, mode?: number): Promise<Pick<FileHandle, 'chmod' | 'writeFile' | 'sync' | 'close'>>;
  rename(from: string, to: string): Promise<void>;
  rm(file: string, options: { readonly force: true }): Promise<void>;
}

/**
 * Replaces the file at `file` so that a crash at any moment leaves either the old content or the new one, whole: the data
 * goes to `<file>.tmp` beside it, is synced, takes the name, and then the folder is synced.
 *
 * When it fails before the new content took the name, the old one stays and nothing is left beside it.
 *
 * The caller runs one write of a file at a time.
 *
 * @param mode permission bits of the new file, whatever the umask and the old file's are
 */
export async function replaceFile(
  file: string,
  data: string | Uint8Array,
  mode: number,
  files: FileOperations = { open, rename, rm },
): Promise<void> {
  const temporary = `${file}.tmp`;
  // What a crash left behind must not lend its mode, or a link its target, to the new content.
  await files.rm(temporary, { force: true });
  const handle = await files.open(temporary, 'wx', mode);
  try {
    try {
      await handle.chmod(mode);
      await handle.writeFile(data);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await files.rename(temporary, file);
  } catch (error) {
    // Half a file would take what little space a full disk has, and may hold half of the keys. The first error tells more.
    await files.rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
  await syncFolder(path.dirname(file), files);
}

/** Without this the rename itself may be lost with the machine's power. */
async function syncFolder(folder: string, files: FileOperations): Promise<void> {
  const handle = await files.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
