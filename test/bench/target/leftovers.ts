import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

// What a run of the bench must not leave behind, however it ends: the processes it started and the folders they write.

const children = new Set<ChildProcess>();
const folders = new Set<string>();
/** Exit codes of a shell for what a signal ended. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
/** How often it is looked whether whoever started the bench is still there, in milliseconds. */
const LOOK_MS = 500;

/** Has this process killed when the bench ends before it. */
export function keepTrackOf<C extends ChildProcess>(child: C): C {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** A new folder below the system's temporary folder, removed at the latest when the bench ends. */
export function benchFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'finial-bench-'));
  folders.add(folder);
  return folder;
}

/** Removes a folder of `benchFolder` with everything in it; processes that were just killed may still add to it. */
export function removeBenchFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  folders.delete(folder);
}

/**
 * From now on the end of this process, by a signal, an error or whatever else it hears of, is the end of the processes
 * and folders too.
 *
 * @param parent given when the bench must not outlive who started it: npm run, which hands no signal on
 */
export function leaveNothingBehind(parent?: number): void {
  process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL');
    for (const folder of folders) removeBenchFolder(folder);
  });
  for (const [signal, code] of Object.entries(SIGNALS)) process.once(signal, () => process.exit(code));
  if (parent === undefined) return;
  setInterval(() => {
    if (process.ppid !== parent) process.exit(SIGNALS.SIGHUP);
  }, LOOK_MS).unref();
}
