import { existsSync } from 'node:fs';
import { loadAgentData } from '../../agent/storage/agent-data.ts';
import { messageOf } from '../../common/errors.ts';
import { parseCertificate } from '../../spiffe/x509/certificate.ts';
import { type Admin, eventually } from './admin.ts';
import type { Tokens } from './nodes.ts';
import type { Site, Victim } from './processes.ts';
import { attestAgentOf } from './set-up.ts';
import type { Sightings } from './sightings.ts';
import type { Workloads } from './workloads.ts';

/** Looks after the two processes. */
export interface Supervision {
  /** Waits until both answer; starts what ended by itself or by somebody else's hand. */
  bothUp(): Promise<void>;
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
/** What is left of an SVID when an agent does not start with it any more, and some time to get there. */
const ALMOST_EXPIRED_MS = 3000;
/** How long both processes have to be up before workloads must have valid SVIDs again, however slow the machine. */
const GRACE_MS = 20_000;

export function newSupervision(context: SupervisionContext): Supervision {
  const { admin, report, sightings, site, tokens, workloads } = context;
  let svidEnds = Infinity;
  let reattestations = 0;
  let gapReported = false;

  const sample = async (): Promise<void> => {
    try {
      const { svid } = existsSync(site.at('agent')) ? await loadAgentData(site.at('agent')) : {};
      if (svid?.[0] !== undefined) {
        svidEnds = parseCertificate(svid[0]).notAfter;
        for (const finding of sightings.x509('agent', svid, Math.min(Date.now(), svidEnds))) report(finding);
      }
    } catch (error) {
      report(`lost: the agent's data: ${messageOf(error)}`);
    }
    const upSince = Math.max(site.server.startedAt, site.agent.startedAt);
    const isUp = site.server.running && site.agent.running && Date.now() - upSince > GRACE_MS;
    const late = workloads.streams.find(({ heldUntil }) => heldUntil < Date.now());
    if (isUp && late !== undefined && !gapReported) {
      gapReported = true;
      report(`a gap: what ${late.name} holds has expired although server and agent are up`);
    }
  };
  let sampling: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    sampling = sampling.then(sample);
  }, SAMPLE_MS);

  const startAgain = async (victim: Victim): Promise<void> => {
    if (victim.running) return;
    if (victim === site.agent && svidEnds - Date.now() < ALMOST_EXPIRED_MS) {
      reattestations += 1;
      svidEnds = Infinity;
      await attestAgentOf(site, admin, tokens);
      return;
    }
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
    async bothUp() {
      await eventually('both are up', async () => {
        await startAgain(site.server);
        await admin.bundle();
        await startAgain(site.agent);
        const silent = workloads.streams.find(({ updatedAt }) => updatedAt < site.agent.startedAt);
        if (silent !== undefined) {
          throw new Error(`${silent.name} has not resumed; the agent says:\n  ${site.agent.tail.join('\n  ')}`);
        }
      });
    },
    end: () => clearInterval(timer),
  };
}
