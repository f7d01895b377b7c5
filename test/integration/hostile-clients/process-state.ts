import { readdirSync, readFileSync } from 'node:fs';

/** What an attack may not leave grown. */
export interface ProcessState {
  /** VmRSS. */
  readonly rssMib: number;
  readonly descriptors: number;
}

/** @throws Error when the process is gone */
export function processState(pid: number): ProcessState {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kib = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  return { rssMib: kib / 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}
