import { setTimeout as sleep } from 'node:timers/promises';
import { type Arena, type AttackReport, openArena, rowOf } from '../integration/hostile-clients/arena.ts';
import { callAttacks } from '../integration/hostile-clients/calls.ts';
import { connectionAttacks } from '../integration/hostile-clients/connections.ts';
import { floodAttacks } from '../integration/hostile-clients/floods.ts';
import { malformedFrames } from '../integration/hostile-clients/frames.ts';
import { processState } from '../integration/hostile-clients/process-state.ts';
import { takeStalls } from '../support/stall-monitor.ts';

export interface HostileClientsOptions {
  /** An empty folder whose path is short, for the files of server and agent. */
  readonly folder: string;
  /** No new round of attacks begins after this time, milliseconds. */
  readonly durationMs: number;
  /** How much more of each attack than in CI; 3 unless told. */
  readonly scale?: number;
  /** Told each row of the report, and what went wrong. */
  readonly print: (line: string) => void;
}

export interface HostileClientsReport {
  readonly rounds: number;
  readonly attacks: readonly AttackReport[];
  /** What was promised and not kept; empty when all is well. */
  readonly failures: readonly string[];
}

/** Twice the time in which a connection that Node forgot is found out by its silence (common/rpc/server.ts). */
const QUIET_MS = 100_000;
const DESCRIPTOR_DRIFT = 8;
/** Between rounds memory may differ by this much, once the first has warmed everything up. */
const RSS_DRIFT_MIB = 150;

/**
 * Runs all attacks of test/integration/hostile-clients again and again on one server and one agent, larger ones than CI
 * has time for, and looks that neither grows from round to round.
 */
export async function hostileClients(options: HostileClientsOptions): Promise<HostileClientsReport> {
  const { folder, durationMs, scale = 3, print } = options;
  const end = Date.now() + durationMs;
  const attacks: AttackReport[] = [];
  const failures: string[] = [];
  const arena = await openArena(folder);
  const idle = state(arena);
  let rounds = 0;
  try {
    let afterFirst: ReturnType<typeof state> | undefined;
    do {
      for (const report of await round(arena, scale, print, failures)) attacks.push(report);
      rounds += 1;
      const now = await quiet(arena, idle);
      afterFirst ??= now;
      for (const program of ['server', 'agent'] as const) {
        const grown = now[program].rssMib - afterFirst[program].rssMib;
        if (grown > RSS_DRIFT_MIB) failures.push(`${program} grew by ${Math.round(grown)} MiB in ${rounds} rounds`);
        const left = now[program].descriptors - idle[program].descriptors;
        if (left > DESCRIPTOR_DRIFT) failures.push(`${program} has ${left} descriptors more after ${rounds} rounds`);
      }
    } while (Date.now() < end && failures.length === 0);
    failures.push(...takeStalls());
  } finally {
    await arena.stop();
  }
  for (const failure of failures) print(`FAILED ${failure}`);
  return { rounds, attacks, failures };
}

async function round(arena: Arena, scale: number, print: (line: string) => void, failures: string[]) {
  const reports: AttackReport[] = [];
  for (const attack of [...connectionAttacks, malformedFrames, ...callAttacks, ...floodAttacks]) {
    for (const door of attack.doors) {
      try {
        const report = await arena.suffer(attack, door, scale);
        reports.push(report);
        print(rowOf(report));
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
  }
  return reports;
}

function state({ site }: Arena) {
  return { server: processState(site.server.pid), agent: processState(site.agent.pid) };
}

/** The state when connections that were forgotten are gone too, or when that takes too long. */
async function quiet(arena: Arena, idle: ReturnType<typeof state>): Promise<ReturnType<typeof state>> {
  const end = Date.now() + QUIET_MS;
  for (;;) {
    const now = state(arena);
    const left = (['server', 'agent'] as const).map((program) => now[program].descriptors - idle[program].descriptors);
    if (Math.max(...left) <= DESCRIPTOR_DRIFT || Date.now() > end) return now;
    await sleep(1000);
  }
}
