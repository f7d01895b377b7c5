import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { CHECKOUT } from './checkout.ts';

/** A turn of a process's event loop in which its main thread computed for long. */
export interface LongTurn {
  /** Unix milliseconds of its end. */
  readonly at: number;
  /** Processor time of the main thread, garbage collection included, milliseconds. */
  readonly cpuMs: number;
  readonly wallMs: number;
  /** I/O events handled in it. */
  readonly events: number;
}

/**
 * DESIGN.md section 4: no request may hold the event loop for longer, milliseconds. Over all integration tests the longest
 * turn after start-up, first calls included, took 9 ms of processor time, so a machine five times slower still passes.
 */
export const LONGEST_TURN_MS = 50;
/** So many events may share one turn before each of them is given time of its own: then it is load and not a stall. */
const EVENTS_OF_A_TURN = 8;

/** Whether a turn is one that no request may cause. Waiting for a processor is not counted: only computing is. */
export function isStall({ cpuMs, events }: Pick<LongTurn, 'cpuMs' | 'events'>, longestMs = LONGEST_TURN_MS): boolean {
  return cpuMs > longestMs * Math.max(1, events / EVENTS_OF_A_TURN);
}

/** Arguments of node, and the environment, that make a process tell its long turns on descriptor `fd`. */
export function stallMonitor(fd: number): { readonly args: readonly string[]; readonly env: Record<string, string> } {
  const preload = path.join(CHECKOUT, 'test/support/stall-monitor-preload.mjs');
  return { args: ['--import', pathToFileURL(preload).href], env: { FINIAL_STALL_FD: String(fd) } };
}

/** Reads whole lines of what a monitored process tells. */
export function longTurns(told: string): LongTurn[] {
  return told
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LongTurn);
}

const noted: string[] = [];

/** Keeps a stall for the end of the test file, which then fails. */
export function noteStall(program: string, { cpuMs, wallMs, events }: LongTurn): void {
  const turn = `${cpuMs.toFixed(0)} ms of computing (${wallMs.toFixed(0)} ms in all) for ${events} events`;
  noted.push(`${program}: a turn of the event loop took ${turn}`);
}

/** The stalls noted since the last call. */
export function takeStalls(): string[] {
  return noted.splice(0);
}
