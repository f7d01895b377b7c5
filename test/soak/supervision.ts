import { existsSync } from 'node:fs';
import { loadAgentData } from '../../agent/storage/agent-data.ts';
import { messageOf } from '../../common/errors.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { type Admin, eventually } from './admin.ts';
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

  const readAgentData = async (): Promise<void> => {
    try {
      const { svid } = existsSync(site.at('agent')) ? await loadAgentData(site.at('agent')) : {};
      if (svid?.[0] !== undefined) {
        svidEnds = parseCertificate(svid[0]).notAfter;
        for (const finding of sightings.x509('agent', svid, Math.min(Date.now(), svidEnds))) report(finding);
      }
    } catch (error) {
      report(`lost: the agent's data: ${messageOf(error)}`);
    }
  };

  const sample = async (): Promise<void> => {
    noticeDisturbances();
    await readAgentData();
    const upSince = Math.max(site.server.startedAt, site.agent.startedAt, undisturbedSince);
    const isUp = site.server.running && site.agent.running && Date.now() - upSince > GRACE_MS;
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
    end: () => clearInterval(timer),
  };
}
