import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

/** What the kernel gave out last; writing it (root only) decides which PID comes next. */
const LAST_PID = '/proc/sys/kernel/ns_last_pid';

/** Whether a test may force a PID to be taken over; says so when not. */
export function canChoosePids(): boolean {
  try {
    writeFileSync(LAST_PID, readFileSync(LAST_PID));
    return true;
  } catch {
    console.warn(`PID reuse tests skipped: ${LAST_PID} cannot be written (root is needed)`);
    return false;
  }
}

/** Starts `sleep` under a PID that is free, or gives up after many attempts. The caller kills it. */
export function spawnAs(pid: number): ChildProcess | undefined {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    writeFileSync(LAST_PID, String(pid - 1));
    const child = spawn('/bin/sleep', ['60'], { stdio: 'ignore' });
    if (child.pid === pid) return child;
    child.kill('SIGKILL');
  }
  return undefined;
}
