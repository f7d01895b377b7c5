import { type Daemon, eventually, makeSite, type Site, type SiteOptions } from '../../support/daemons.ts';
import type { Target } from '../../support/raw-http2.ts';
import { bystander } from './bystander.ts';
import { processState } from './process-state.ts';

/** Methods that anybody may call with an empty request. */
export const GET_BUNDLE = '/spire.api.server.bundle.v1.Bundle/GetBundle';
export const FETCH_X509_SVID = '/SpiffeWorkloadAPI/FetchX509SVID';

/** Who is attacked, and where. */
export type Door = 'tcp' | 'admin' | 'workload';

/** Something done to a daemon by clients that it should survive. */
export interface Attack {
  readonly name: string;
  readonly doors: readonly Door[];
  readonly limits?: AttackLimits;
  /** @param scale 1 where time is short; a multiple of it where it is not */
  run(arena: Arena, door: Door, scale: number): Promise<void>;
}

/** A server and an agent with an identity for this process, and a client beside each attack. */
export interface Arena {
  readonly site: Site;
  target(door: Door): Target;
  daemon(door: Door): Daemon;
  /** An unauthenticated method behind that door. */
  method(door: Door): string;
  /** Runs an attack with a client beside it and checks what was promised. @throws Error when it was not kept */
  suffer(attack: Attack, door: Door, scale?: number): Promise<AttackReport>;
  stop(): Promise<void>;
}

export interface AttackLimits {
  /** How much larger the attacked process may be when the attack is over; 160 unless told. */
  readonly rssMib?: number;
  /** Whether hundreds of calls come in one packet, so that one turn of the event loop may take longer than any call. */
  readonly isFlood?: boolean;
  /** Descriptors that may stay open until the next keepalive, at scale 1: 8 unless told. */
  readonly descriptors?: number;
}

export interface AttackReport {
  readonly name: string;
  readonly door: Door;
  readonly calls: number;
  readonly failures: readonly string[];
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly rssBeforeMib: number;
  readonly rssAfterMib: number;
  /** Lines above debug that the attacked process logged. */
  readonly logLines: number;
}

/** Generous, since machines are slow: here such turns compute for 200 ms at most. */
const LONGEST_FLOOD_TURN_MS = 2000;
/** Thousands of connections that begin or end at once are no single request either. */
const LONGEST_ATTACKED_TURN_MS = 250;
const RSS_GROWTH_MIB = 160;
/** Lines above debug in one attack: a few of each kind, never one for each of thousands of wrongs. */
const MOST_LOG_LINES = 200;
/** Descriptors that come and go by themselves: database, probes, the bystander's own. */
const DESCRIPTOR_SLACK = 8;

/** Starts both processes; the agent has an identity for this user. */
export async function openArena(folder: string, options: SiteOptions = {}): Promise<Arena> {
  const site = await makeSite(folder, options);
  await site.startServer();
  const agentId = await site.attestAgent();
  const selector = `unix:uid:${process.geteuid?.() ?? 0}`;
  const entry = ['-parentID', agentId, '-spiffeID', 'spiffe://example.org/bystander', '-selector', selector];
  const created = await site.serverCommand('entry', 'create', ...entry);
  if (created.code !== 0) throw new Error(created.err);
  await eventually('an identity for the bystander', async () => {
    const { code, err } = await site.agentCommand('api', 'fetch', 'x509');
    if (code !== 0) throw new Error(err);
  });
  const target = (door: Door): Target => {
    if (door === 'tcp') return { port: site.port };
    return { socketPath: door === 'admin' ? site.serverSocket : site.agentSocket };
  };
  const arena: Arena = {
    site,
    target,
    daemon: (door) => (door === 'workload' ? site.agent : site.server),
    method: (door) => (door === 'workload' ? FETCH_X509_SVID : GET_BUNDLE),
    suffer: (attack, door, scale = 1) => suffer(arena, attack, door, scale),
    stop: () => site.stop(),
  };
  return arena;
}

async function suffer(arena: Arena, attack: Attack, door: Door, scale: number): Promise<AttackReport> {
  const { name, limits: { rssMib = RSS_GROWTH_MIB, descriptors = DESCRIPTOR_SLACK } = {} } = attack;
  const daemon = arena.daemon(door);
  const before = processState(daemon.pid);
  const logged = daemon.output.length;
  const beside = await bystander(arena.target(door), arena.method(door));
  const endFlood = daemon.noteFlood(attack.limits?.isFlood === true ? LONGEST_FLOOD_TURN_MS : LONGEST_ATTACKED_TURN_MS);
  let served: Awaited<ReturnType<typeof beside.stop>>;
  try {
    await attack.run(arena, door, scale);
  } finally {
    served = await beside.stop();
  }
  if (!daemon.running) throw new Error(`${name}: the process ended\n${daemon.output.slice(-4000)}`);
  const after = await eventually(`${name}: descriptors as before`, () => {
    const state = processState(daemon.pid);
    if (state.descriptors > before.descriptors + descriptors * scale) {
      throw new Error(`${state.descriptors} descriptors are open, ${before.descriptors} were before`);
    }
    return state;
  });
  // Only now has the daemon dealt with what was left of it.
  endFlood();
  const lines = daemon.output
    .slice(logged)
    .split('\n')
    .filter((line) => line !== '' && !/level=(debug|trace)/.test(line));
  const report: AttackReport = {
    name,
    door,
    ...served,
    rssBeforeMib: Math.round(before.rssMib),
    rssAfterMib: Math.round(after.rssMib),
    logLines: lines.length,
  };
  const wrongs = [
    served.failures.length > 0 && `the bystander was let down: ${served.failures.join('; ')}`,
    served.calls === 0 && 'the bystander never got to call',
    after.rssMib > before.rssMib + rssMib && `more than ${rssMib} MiB grown`,
    lines.length > MOST_LOG_LINES && `${lines.length} lines were logged, such as ${lines[0]}`,
    ...lines.filter((line) => /Unexpected error|PRIVATE KEY/.test(line)),
  ].filter((wrong) => wrong !== false);
  if (wrongs.length > 0) throw new Error(`${rowOf(report)}: ${wrongs.join('; ')}`);
  return report;
}

/** One row of the table of docs and reports. */
export function rowOf(report: AttackReport): string {
  const ms = (value: number): string => `${value.toFixed(1)} ms`;
  return (
    `${report.door} | ${report.name} | ${report.calls} calls, ${report.failures.length} failed | ` +
    `p50 ${ms(report.p50Ms)} | p99 ${ms(report.p99Ms)} | max ${ms(report.maxMs)} | ` +
    `RSS ${report.rssBeforeMib} -> ${report.rssAfterMib} MiB | ${report.logLines} log lines`
  );
}
