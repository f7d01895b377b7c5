import { closeSync, readFileSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { FinialError } from '../errors.ts';
import { peerCredentials, peerPidfd, pidfdHasExited, pidfdOpen } from './kernel.ts';
import { parseStartTime } from './proc.ts';

/**
 * The process at the other end of a Unix socket as the kernel recorded it when the connection was made. The identity of
 * a workload rests on this value alone, never on what the process says of itself.
 */
export interface PeerProcess {
  /** As seen from this process's PID namespace. */
  readonly pid: number;
  /** Effective user and group at the time of connect(2). */
  readonly uid: number;
  readonly gid: number;
  /**
   * Whether the process that connected still lives under `pid` with the credentials it connected with. To be asked
   * after facts about `pid` were collected: true means that those facts were about this process and no other.
   */
  isSame(): boolean;
  close(): void;
}

/**
 * Reads the peer of an accepted Unix socket. Must be called in the `connection` event, before anything is read.
 *
 * On kernels from 6.5 SO_PEERPIDFD names the process itself, immune to PID reuse. Older ones get a pidfd opened by PID
 * and the start time read at once, which leaves the same small window at accept that the reference has.
 *
 * @throws FinialError `unavailable` when the process is already gone or lives in a PID namespace that this one cannot
 * see; the connection must then be dropped.
 */
export function readPeerProcess(socket: Socket): PeerProcess {
  const fd = descriptorOf(socket);
  const { pid, uid, gid } = peerCredentials(fd);
  if (pid === 0) throw new FinialError('unavailable', 'caller is in a PID namespace that is not visible from here');
  const exact = peerPidfd(fd);
  const pidfd = exact ?? pidfdOpen(pid);
  const startTime = exact === undefined ? startTimeOf(pid) : undefined;
  let open = true;
  return {
    pid,
    uid,
    gid,
    isSame() {
      if (!open || pidfdHasExited(pidfd)) return false;
      try {
        if (startTime !== undefined && startTimeOf(pid) !== startTime) return false;
        // A process may hand its connection to a child and then become a set-user-ID program; the facts about it would
        // then be about a more privileged identity than the one that connected.
        // The kernel makes the folder of a process belong to its effective user and group at this moment, dumpable or
        // not (fs/proc/base.c, task_dump_owner), and tells so in a seventh of the time that the status file takes.
        const folder = statSync(`/proc/${pid}`);
        return folder.uid === uid && folder.gid === gid && !pidfdHasExited(pidfd);
      } catch {
        // The files of a process vanish with it: unreadable means gone, and gone means not the same.
        return false;
      }
    },
    close() {
      if (!open) return;
      open = false;
      closeSync(pidfd);
    },
  };
}

function startTimeOf(pid: number): string {
  return parseStartTime(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

/** The one use of a Node internal: there is no public way to the descriptor of a socket. Checked by a contract test. */
function descriptorOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined;
  if (typeof fd !== 'number' || fd < 0) throw new FinialError('unavailable', 'caller has already disconnected');
  return fd;
}
