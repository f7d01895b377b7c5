import { closeSync, constants, openSync, realpathSync } from 'node:fs';
import path from 'node:path';
import koffi from 'koffi';
import { FinialError, messageOf } from './errors.ts';

/** flock(2). */
const LOCK_EX = 2;
const LOCK_NB = 4;
const EAGAIN = 11;
const EINTR = 4;

/** Where nothing can be created nothing can be replaced either, so there is nothing to guard. */
const NOT_WRITABLE = new Set(['EACCES', 'EPERM', 'EROFS']);

/** By real path; a lock belongs to the process, so whoever opens the same file again in it has it already. */
const held = new Map<string, number>();
let flock: ((fd: number, operation: number) => number) | undefined;

/**
 * Makes this process the only one that may replace `file`, until it ends: by an advisory lock on `<file>.lock`, which the
 * kernel drops however the process ends. The empty lock file stays; it means nothing by itself, and other programs
 * (the reference, an editor) are not held up by it. Does nothing on other systems than Linux, and in a folder that this
 * process may not write.
 *
 * @param what the file is, for the message
 * @throws FinialError `failed-precondition` when another process holds the lock or it cannot be taken; names the file
 */
export function lockForProcess(file: string, what: string): void {
  if (process.platform !== 'linux') return;
  let fd: number;
  let lock: string;
  try {
    lock = `${path.join(realpathSync(path.dirname(file)), path.basename(file))}.lock`;
    if (held.has(lock)) return;
    fd = openSync(lock, constants.O_RDONLY | constants.O_CREAT | constants.O_NOFOLLOW, 0o644);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (NOT_WRITABLE.has(code)) return;
    throw cannot(`cannot lock ${what} ${file}: ${messageOf(error)}`, error);
  }
  const errno = tryLock(fd);
  if (errno === 0) {
    held.set(lock, fd);
    return;
  }
  closeSync(fd);
  if (errno !== EAGAIN) throw cannot(`cannot lock ${what} ${file}: errno ${errno}`);
  throw cannot(`${what} ${file} is in use by another process; stop that process or choose another path`);
}

/** Gives 0 or the errno. */
function tryLock(fd: number): number {
  flock ??= koffi.load(null).func('int flock(int, int)') as NonNullable<typeof flock>;
  for (;;) {
    if (flock(fd, LOCK_EX | LOCK_NB) === 0) return 0;
    const errno = koffi.errno();
    if (errno !== EINTR) return errno;
  }
}

function cannot(message: string, cause?: unknown): FinialError {
  return new FinialError('failed-precondition', message, cause === undefined ? {} : { cause });
}
