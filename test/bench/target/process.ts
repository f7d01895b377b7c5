import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { peerCredentials } from '../../../common/net/kernel.ts';

/** Ticks of `/proc/PID/stat` per second (sysconf(_SC_CLK_TCK) on every Linux that Node.js runs on). */
const TICKS_PER_SECOND = 100;
/** Between two looks at a process. */
const LOOK_MS = 20;

/** The process that listens on a Unix socket, by the kernel's word (unix(7) SO_PEERCRED). */
export async function listenerPid(socketPath: string): Promise<number> {
  const socket = net.connect(socketPath);
  await once(socket, 'connect');
  try {
    // Node.js has no public way to the descriptor of a socket.
    const { _handle: handle } = socket as unknown as { readonly _handle: { readonly fd: number } };
    return peerCredentials(handle.fd).pid;
  } finally {
    socket.destroy();
  }
}

/**
 * Seconds of CPU that all threads of a process used so far, user and system. What the kernel says of the process is cut
 * off to ticks of 10 ms, which many a short row does not use; what it says of threads is exact, but ended ones are lost.
 */
export function cpuSecondsOf(pid: number): number {
  const fields = statFieldsOf(pid);
  return Math.max((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND, threadSecondsOf(pid));
}

/** Of the threads that there are now (Documentation/scheduler/sched-stats.rst). */
function threadSecondsOf(pid: number): number {
  const threads = `/proc/${pid}/task`;
  let nanoseconds = 0;
  for (const thread of readdirSync(threads)) {
    try {
      nanoseconds += Number(readFileSync(`${threads}/${thread}/schedstat`, 'latin1').split(' ', 1)[0]);
    } catch {
      // It has just ended.
    }
  }
  return nanoseconds / 1e9;
}

/** Seconds of CPU that children of this process used which have ended, user and system. */
export function endedChildrenCpuSeconds(): number {
  const fields = statFieldsOf('self');
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}

/** The fields of `/proc/PID/stat` from the third on: the name before them stands in brackets and may contain anything (proc(5)). */
function statFieldsOf(pid: number | 'self'): readonly string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** Resident memory in MB. */
export function rssMbOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return Number(kilobytes ?? Number.NaN) / 1024;
}

/** Looks at the largest resident memory that a process had, for as long as it lives. */
export function watchMemory(pid: number | undefined): Disposable & { /** In MB. */ highest(): number } {
  let highest = 0;
  const look = (): void => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'latin1');
      highest = Math.max(highest, Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024);
    } catch {
      // It has ended between two looks.
    }
  };
  const timer = setInterval(look, 2);
  return { highest: () => highest, [Symbol.dispose]: () => clearInterval(timer) };
}

/** Looks at a process again and again, to say afterwards what it used between two moments. */
export interface ProcessWatch extends Disposable {
  /** @param from, to milliseconds since the epoch; @returns CPU seconds in between, and the largest memory in MB */
  between(from: number, to: number): { readonly cpuSeconds: number; readonly rssMb: number };
}

/** Starts watching; what it costs is some 50 reads of `/proc` a second. */
export function watchProcess(pid: number): ProcessWatch {
  const looks: { readonly at: number; readonly cpu: number; readonly rss: number }[] = [];
  const look = (): void => {
    looks.push({ at: performance.timeOrigin + performance.now(), cpu: cpuSecondsOf(pid), rss: rssMbOf(pid) });
  };
  look();
  const timer = setInterval(look, LOOK_MS);
  const cpuAt = (at: number): number => {
    const after = looks.findIndex((one) => one.at >= at);
    const next = looks[after] ?? looks.at(-1);
    const before = looks[after - 1] ?? next;
    if (next === undefined || before === undefined) return Number.NaN;
    const share = next.at === before.at ? 0 : (at - before.at) / (next.at - before.at);
    return before.cpu + (next.cpu - before.cpu) * Math.min(1, Math.max(0, share));
  };
  return {
    between(from, to) {
      look();
      const inside = looks.filter(({ at }) => at >= from - LOOK_MS && at <= to + LOOK_MS);
      return { cpuSeconds: cpuAt(to) - cpuAt(from), rssMb: Math.max(...inside.map(({ rss }) => rss)) };
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
