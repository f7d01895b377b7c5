import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Whether this process may do what the permission bits forbid. */
export const isRoot = process.getuid?.() === 0;

/** What cannot be mounted here, and so not be tested, is said once. */
export function noMount(what: string): void {
  console.warn(`${what} skipped: this user cannot mount anything`);
}

/**
 * Makes a folder read-only, for root by a mount over it. Files that are open already stay writable, as the kernel has it.
 *
 * @returns what undoes it, or undefined when that is not possible here
 */
export function readOnly(place: string): (() => void) | undefined {
  if (!isRoot) {
    chmodSync(place, 0o555);
    return () => chmodSync(place, 0o755);
  }
  if (spawnSync('mount', ['--bind', place, place]).status !== 0) return undefined;
  const undo = (): void => void spawnSync('umount', ['--lazy', place]);
  if (spawnSync('mount', ['-o', 'remount,ro,bind', place]).status === 0) return undo;
  undo();
  return undefined;
}

/** A file system of its own, small enough to be filled. */
export interface SmallDisk {
  /** Leaves no block free. */
  fill(): void;
  /** Where the file is that fills it; deleting it makes room. */
  readonly filler: string;
  unmount(): void;
}

/** Makes the folder a disk of 2 MB; undefined when this user cannot. */
export function smallDisk(folder: string): SmallDisk | undefined {
  mkdirSync(folder, { recursive: true });
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder]).status !== 0) return undefined;
  const filler = path.join(folder, 'filler');
  return {
    filler,
    fill() {
      const { bavail, bsize } = statfsSync(folder);
      writeFileSync(filler, Buffer.alloc(bavail * bsize));
      if (statfsSync(folder).bavail !== 0) throw new Error(`${folder} is not full`);
    },
    unmount() {
      // Lazily: the lock of a keys file is held until this process ends.
      const { status } = spawnSync('umount', ['--lazy', folder]);
      if (status !== 0) throw new Error(`${folder} cannot be unmounted`);
    },
  };
}
