import { setMaxListeners } from 'node:events';
import { mkdirSync } from 'node:fs';
import { messageOf } from '../../common/errors.ts';
import { newRandom, type Random } from '../fuzz/random.ts';
import { newAdmin, pause } from './admin.ts';
import { newChecker } from './checker.ts';
import { newGate } from './gate.ts';
import { newLedger } from './ledger.ts';
import { newNode, type NodeContext, runTokens, type Tokens } from './nodes.ts';
import { newSite, type Site, type Victim } from './processes.ts';
import { newSightings } from './sightings.ts';
import { setUp } from './set-up.ts';
import { newSupervision } from './supervision.ts';
import { newWorkloads } from './workloads.ts';
import { runWriter } from './writers.ts';

/** How a run is made; the same seed makes the same choices, though not at the same moments. */
export interface CrashLoopOptions {
  /** An empty folder with a short path, since sockets are made in it. */
  readonly folder: string;
  readonly port: number;
  readonly seed: number;
  /** How long load and kills go on. */
  readonly milliseconds: number;
  /** Goes on for longer when no more CAs than this took over from another. */
  readonly leastRotations?: number;
  /** False when somebody else does the killing; whatever ends is started again. */
  readonly kills: boolean;
  /** Seconds; rotations are as frequent as this is short. */
  readonly caTtl: number;
  readonly say: (line: string) => void;
}

/** What became of it. */
export interface CrashLoopResult {
  /** Empty when all is well. */
  readonly findings: readonly string[];
  readonly writes: number;
  readonly unanswered: number;
  readonly serials: number;
  readonly tokens: number;
  readonly kills: number;
  readonly fetches: number;
  readonly rotations: { readonly x509: number; readonly jwt: number };
  /** How often an SVID of the agent ended while it or the server was down, so that it had to attest anew. */
  readonly reattestations: number;
}

const WRITERS = 3;
const NODES = 2;

/** Kills a server and an agent again and again under load, and checks all the time that nothing is lost or doubled. */
export async function crashLoop(options: CrashLoopOptions): Promise<CrashLoopResult> {
  const { folder, port, say, seed } = options;
  mkdirSync(folder, { recursive: true });
  const site = newSite(folder, port, { caTtl: options.caTtl, syncInterval: 1, faultsOfOthers: !options.kills });
  const findings: string[] = [];
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  const report = (finding: string): void => {
    if (findings.length < MOST_FINDINGS) say(`FINDING ${finding}`);
    findings.push(finding);
  };
  /** Once the load is being stopped, its calls break off. */
  const reportOfLoad = (finding: string): void => {
    if (!stop.signal.aborted) report(finding);
  };
  const parts = newParts(site, seed, reportOfLoad, stop.signal);
  const supervision = newSupervision({ ...parts, site, report, kills: options.kills });
  const load: Promise<unknown>[] = [];
  try {
    await setUp(site, parts.admin, parts.tokens);
    const writers = Array.from({ length: WRITERS }, (_, index) =>
      runWriter(index, {
        ...{ site, ledger: parts.ledger, turn: parts.gate.turn, report: reportOfLoad, signal: stop.signal },
        random: newRandom(seed, `writer ${index}`),
      }),
    );
    load.push(
      ...writers,
      ...parts.nodes.map((node) => node.run()),
      runTokens(parts.nodeContext),
      parts.workloads.run(),
    );
    for (const task of load) task.catch((error: unknown) => reportOfLoad(`the load broke off: ${messageOf(error)}`));
    const checker = newChecker({ ...parts, site, supervision });
    await checker.resumed();
    const deadline = performance.now() + options.milliseconds;
    const random = newRandom(seed, 'killer');
    const rotation = rotationLines(site.server);
    const isEnough = (): boolean =>
      performance.now() > deadline && checker.rotations.x509 >= (options.leastRotations ?? 0);
    while (!isEnough() && findings.length === 0) {
      if (options.kills) await killRound(site, random, rotation, checker.lookAtDead);
      else await pause(2000);
      await supervision.bothUp();
      for (const finding of await checker.check()) report(finding);
      say(`${supervision.kills} kills, ${parts.ledger.count} writes, ${parts.sightings.serials} serials`);
    }
    if (findings.length === 0) {
      for (const finding of await checker.lastCheck()) report(finding);
      stop.abort();
      await Promise.allSettled(load);
      supervision.end();
      for (const finding of await checker.shutDown()) report(finding);
    }
    return {
      ...{ findings, kills: supervision.kills, reattestations: supervision.reattestations },
      ...{ writes: parts.ledger.count, unanswered: parts.ledger.unansweredCount },
      ...{ serials: parts.sightings.serials, tokens: parts.sightings.tokens, fetches: parts.workloads.fetches },
      rotations: checker.rotations,
    };
  } finally {
    stop.abort();
    parts.gate.release();
    supervision.end();
    await Promise.all([site.agent.kill(), site.server.kill()]);
    await Promise.allSettled(load);
    parts.admin.close();
  }
}

const MOST_FINDINGS = 20;

/** Everything of the load that knows of each other. */
function newParts(site: Site, seed: number, report: (finding: string) => void, signal: AbortSignal) {
  const gate = newGate();
  const admin = newAdmin(site, signal);
  const ledger = newLedger();
  const sightings = newSightings();
  const tokens: Tokens = {
    ...{ unused: new Set(), used: new Set(), unanswered: new Set(), given: new Set(), spent: new Set() },
  };
  const { turn } = gate;
  const nodeContext: NodeContext = {
    ...{ site, admin, tokens, sightings, report, turn, signal },
    random: newRandom(seed, 'nodes'),
  };
  const nodes = Array.from({ length: NODES }, (_, index) => newNode(index, nodeContext));
  const workloads = newWorkloads({ site, sightings, report, signal, random: newRandom(seed, 'workloads') });
  return { admin, gate, ledger, nodeContext, nodes, sightings, tokens, workloads };
}

/** Resolves at the next line of the server that tells of a step of a rotation. */
function rotationLines(server: Victim): () => Promise<void> {
  let waiting: (() => void)[] = [];
  server.onLine((line) => {
    if (!/(Preparing (X509 CA|JWT key)|(X509 CA|JWT key) (prepared|activated))/.test(line)) return;
    const [all] = [waiting, (waiting = [])];
    for (const wake of all) wake();
  });
  return () => new Promise((resolve) => waiting.push(resolve));
}

const VICTIMS = ['server', 'server', 'agent', 'both'] as const;

/** Kills at a random moment, or just when a rotation is under way, and starts again; sometimes kills the start, too. */
async function killRound(
  site: Site,
  random: Random,
  rotation: () => Promise<void>,
  lookAtDead: () => Promise<void>,
): Promise<void> {
  const inRotation = rotation().then(() => pause(random.int(12)));
  await Promise.race([pause(200 + random.int(1300)), inRotation]);
  const choice = random.pick(VICTIMS);
  const victims = choice === 'both' ? [site.server, site.agent] : [site[choice]];
  const again = random.oneIn(3);
  await Promise.all(victims.map((victim) => victim.kill()));
  if (victims.includes(site.server)) await lookAtDead();
  await pause(random.int(400));
  for (const victim of victims) victim.start();
  if (!again) return;
  const onlyRotation = rotation().then(() => pause(random.int(12)));
  await Promise.race([pause(random.int(700)), onlyRotation]);
  const victim = random.pick(victims);
  await victim.kill();
  if (victim === site.server) await lookAtDead();
  victim.start();
}
