import { FinialError } from '../errors.ts';

/** What `/proc/<pid>/status` says about the identity of a process (proc_pid_status(5)). */
export interface ProcessStatus {
  readonly effectiveUid: number;
  readonly effectiveGid: number;
  readonly supplementaryGids: readonly number[];
}

/** @throws FinialError `internal` when a line is missing or not as documented */
export function parseProcessStatus(text: string): ProcessStatus {
  return {
    effectiveUid: idAt(text, 'Uid', 1),
    effectiveGid: idAt(text, 'Gid', 1),
    supplementaryGids: line(text, 'Groups').map((part) => toId(part, 'Groups')),
  };
}

/**
 * Field 22 of `/proc/<pid>/stat`, in clock ticks since boot. The second field is the program's name in parentheses and
 * may hold spaces and parentheses itself, so counting starts behind the last one.
 *
 * @throws FinialError `internal` when the text is not as proc_pid_stat(5) documents
 */
export function parseStartTime(text: string): string {
  const fields = text
    .slice(text.lastIndexOf(')') + 1)
    .trim()
    .split(/\s+/);
  const startTime = fields[19];
  if (!text.includes(')') || startTime === undefined || !/^\d+$/.test(startTime)) {
    throw new FinialError('internal', 'process stat file is malformed');
  }
  return startTime;
}

function line(text: string, name: string): string[] {
  const match = new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(text);
  if (match?.[1] === undefined) throw new FinialError('internal', `process status has no ${name} line`);
  return match[1].split(/\s+/).filter((part) => part !== '');
}

function idAt(text: string, name: string, index: number): number {
  const part = line(text, name)[index];
  if (part === undefined) throw new FinialError('internal', `process status has a short ${name} line`);
  return toId(part, name);
}

function toId(part: string, name: string): number {
  if (!/^\d+$/.test(part)) throw new FinialError('internal', `process status has a malformed ${name} line`);
  return Number(part);
}
