import { accessSync, constants, existsSync, statfsSync } from 'node:fs';
import net from 'node:net';
import { loadAgentData } from '../../agent/storage/agent-data.ts';
import { messageOf } from '../../common/errors.ts';
import { parseCertificate, spiffeIdOf } from '../../spiffe/x509/certificate.ts';
import { type Admin, eventually } from './admin.ts';
import { agentIdOf } from './node.ts';
import type { Tokens } from './nodes.ts';
import type { Site, Victim } from './processes.ts';
import { attestAgentOf } from './set-up.ts';
import type { Sightings } from './sightings.ts';
import { lateStream, type Workloads } from './workloads.ts';

/** Looks after the two processes. */
export interface Supervision {
  /** Waits until both answer; starts what ended by itself or by somebody else's hand. */
  bothUp(): Promise<void>;
  /** Takes down the SVID that the agent has now. */
  readonly seeAgent: () => Promise<void>;
  /** How often one of the processes was killed. */
  readonly kills: number;
  readonly reattestations: number;
  end(): void;
}

export interface SupervisionContext {
  readonly site: Site;
  readonly admin: Admin;
  readonly tokens: Tokens;
  readonly sightings: Sightings;
  readonly workloads: Workloads;
  readonly report: (finding: string) => void;
  /** Whether processes are only killed by us, so that one that ends by itself is a finding. */
  readonly kills: boolean;
}

const SAMPLE_MS = 250;
/** A sample that comes this late, or a clock that differs by it, says that the machine was not itself. */
const LATE_SAMPLE_MS = 3000;
/** A process that ends at once, on a full disk for instance, is not started again sooner. */
const RESTART_MS = 1000;
/** What is left of an SVID when an agent does not start with it any more, and some time to get there. */
const ALMOST_EXPIRED_MS = 3000;
/** How long both processes have to be up before workloads must have valid SVIDs again, however slow the machine. */
const GRACE_MS = 20_000;
/** The same after a fault of others: a call whose packets were lost ends after half a minute, and not before. */
const GRACE_AFTER_FAULTS_MS = 60_000;
/** A port that does not answer within this time is cut off: the kernel answers for a process that is busy or held. */
const PROBE_MS = 1000;
/** Bytes; the write-ahead log alone takes four million between two checkpoints. */
const LITTLE_SPACE = 8 * 1024 * 1024;

export function newSupervision(context: SupervisionContext): Supervision {
  const { admin, report, sightings, site, tokens, workloads } = context;
  /** Unix milliseconds; undefined while the agent has not been attested. */
  let svidEnds: number | undefined;
  let undisturbedSince = 0;
  let lastSample = { wall: Date.now(), steady: performance.now() };
  let reattestations = 0;
  let gapReported = false;

  /** Processes that somebody holds, and clocks that somebody sets, excuse what is late. */
  const noticeDisturbances = (): void => {
    const now = { wall: Date.now(), steady: performance.now() };
    const jump = Math.abs(now.wall - lastSample.wall - (now.steady - lastSample.steady));
    const isLate = now.steady - lastSample.steady > LATE_SAMPLE_MS;
    if (site.server.held || site.agent.held || jump > LATE_SAMPLE_MS || isLate) undisturbedSince = now.wall;
    lastSample = now;
  };

  /** The network may be cut and the disk full, which no process tells. */
  const probe = async (): Promise<void> => {
    const isWell = isWritable(site.folder) && (await takesConnections(site.port));
    if (!isWell) undisturbedSince = Date.now();
  };

  const readAgentData = async (): Promise<void> => {
    try {
      const { svid } = existsSync(site.at('agent')) ? await loadAgentData(site.at('agent')) : {};
      if (svid?.[0] !== undefined) {
        const leaf = parseCertificate(svid[0]);
        svidEnds = leaf.notAfter;
        for (const finding of sightings.x509('agent', svid, Math.min(Date.now(), svidEnds))) report(finding);
        for (const token of tokens.given) {
          if (agentIdOf(token) !== spiffeIdOf(leaf)) continue;
          tokens.given.delete(token);
          tokens.used.add(token);
        }
      }
    } catch (error) {
      report(`lost: the agent's data: ${messageOf(error)}`);
    }
  };

  const sample = async (): Promise<void> => {
    noticeDisturbances();
    await readAgentData();
    const upSince = Math.max(site.server.startedAt, site.agent.startedAt, undisturbedSince);
    const grace = context.kills ? GRACE_MS : GRACE_AFTER_FAULTS_MS;
    const isUp = site.server.running && site.agent.running && Date.now() - upSince > grace;
    const late = workloads.streams.find(({ heldUntil }) => heldUntil < Date.now());
    if (isUp && late !== undefined && !gapReported) {
      gapReported = true;
      report(`a gap: what ${late.name} holds has expired although server and agent are up`);
    }
  };
  let sampling: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    // Whoever waits for an answer of the server in the middle of a check does not look after it.
    const isGone = !site.server.running && Date.now() - site.server.startedAt > RESTART_MS;
    if (!context.kills && isGone && site.server.starts > 0) site.server.start();
    sampling = sampling.then(sample);
  }, SAMPLE_MS);

  const probing = context.kills ? undefined : setInterval(() => void probe(), PROBE_MS);

  const attestAgain = async (): Promise<void> => {
    await site.agent.kill();
    svidEnds = undefined;
    await attestAgentOf(site, admin, tokens);
    reattestations += 1;
  };

  const startAgain = async (victim: Victim): Promise<void> => {
    if (victim.running) return;
    const isTooLate = svidEnds === undefined || svidEnds - Date.now() < ALMOST_EXPIRED_MS;
    if (victim === site.agent && isTooLate) return attestAgain();
    if (Date.now() - victim.startedAt < RESTART_MS) throw new Error(`the ${victim.name} ended as soon as it started`);
    if (context.kills) report(`the ${victim.name} ended by itself:\n  ${victim.tail.join('\n  ')}`);
    victim.start();
  };

  return {
    get kills() {
      // Each was started once before anything was killed, and once more after each kill; new tokens come with a start.
      return site.server.starts + site.agent.starts - 2 - reattestations;
    },
    get reattestations() {
      return reattestations;
    },
    seeAgent: () => readAgentData(),
    async bothUp() {
      await eventually(site, 'both are up', async () => {
        await startAgain(site.server);
        await admin.bundle();
        await startAgain(site.agent);
        const silent = lateStream(workloads.streams, { canary: -1, since: site.agent.startedAt });
        if (silent !== undefined) {
          // It was started while its SVID ended, or never got one: a join token does not attest twice.
          const ends = svidEnds ?? site.agent.startedAt + GRACE_MS;
          if (!site.agent.held && Math.max(ends, undisturbedSince) < Date.now()) await attestAgain();
          throw new Error(`${silent.name} has not resumed; the agent says:\n  ${site.agent.tail.join('\n  ')}`);
        }
      });
    },
    end() {
      clearInterval(timer);
      clearInterval(probing);
    },
  };
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize > LITTLE_SPACE;
  } catch {
    // A file system that is mounted read-only, or that answers with an error.
    return false;
  }
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port, timeout: PROBE_MS });
    const answer = (takes: boolean): void => {
      socket.destroy();
      resolve(takes);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
    socket.once('timeout', () => answer(false));
  });
}
