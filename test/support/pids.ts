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

/** Starts `sleep` under a PID if nobody else comes first; does not let the event loop run. The caller kills it. */
export function trySpawnAs(pid: number): ChildProcess | undefined {
  writeFileSync(LAST_PID, String(pid - 1));
  const child = spawn('/bin/sleep', ['60'], { stdio: 'ignore' });
  if (child.pid === pid) return child;
  child.kill('SIGKILL');
  return undefined;
}

/** Others start processes at the same time, another test that wants a certain PID among them. */
const PATIENCE_MS = 10_000;

/** As `trySpawnAs`, until it works. @throws Error when others always came first */
export async function spawnAs(pid: number): Promise<ChildProcess> {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    const child = trySpawnAs(pid);
    if (child !== undefined) return child;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`the PID ${pid} could not be taken over`);
}
