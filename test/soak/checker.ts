import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { messageOf } from '../../common/errors.ts';
import { entryService } from '../../common/rpc/services.ts';
import type { Entry__Output } from '../../proto/gen/spire/api/types/Entry.ts';
import { type Admin, CALL_TIMEOUT_MS, eventually } from './admin.ts';
import type { Gate } from './gate.ts';
import { type History, newHistory } from './history.ts';
import { checkEntries, type Ledger, settle, wholeOf } from './ledger.ts';
import { checkAgents, checkTokens, type Node, type NodeContext } from './nodes.ts';
import { fileFindings, leftTemporary, readServerFiles } from './on-disk.ts';
import { CHECKOUT } from '../support/checkout.ts';
import type { Site } from './processes.ts';
import { canaryEntry } from './set-up.ts';
import type { Sightings } from './sightings.ts';
import type { Supervision } from './supervision.ts';
import { lateStream, type Workloads } from './workloads.ts';
import { isOfWriters } from './writers.ts';

export interface CheckerContext {
  readonly site: Site;
  readonly admin: Admin;
  readonly gate: Gate;
  readonly ledger: Ledger;
  readonly sightings: Sightings;
  readonly nodes: readonly Node[];
  readonly nodeContext: NodeContext;
  readonly workloads: Workloads;
  readonly supervision: Supervision;
}

/** Reads back all that was acknowledged. */
export interface Checker {
  /** Waits until every stream has said something. */
  resumed(): Promise<void>;
  /** Looks at the files of a server that does not run, before anybody repairs them. */
  readonly lookAtDead: () => Promise<void>;
  /** One whole check, both processes being up. @returns what is wrong */
  check(): Promise<string[]>;
  /** A whole check and a look through the command line besides. */
  lastCheck(): Promise<string[]>;
  /** When the load is over: both end cleanly, and nothing is left over. */
  shutDown(): Promise<string[]>;
  readonly rotations: History['rotations'];
}

const SECRET_SERVER_FILES = ['keys.json'];
const SECRET_AGENT_FILES = ['keys.json', 'agent-data.json'];

export function newChecker(context: CheckerContext): Checker {
  const { admin, gate, ledger, nodeContext, nodes, sightings, site, supervision, workloads } = context;
  const history = newHistory();
  let dead: string[] = [];
  let canary = 0;

  /** An entry that changes, and its SVID in every hand: the way from the operator to the workload works again. */
  const flyCanary = async (): Promise<string[]> => {
    canary += 1;
    const request = { entries: [canaryEntry(canary)] };
    await eventually(site, 'the canary is written', async () => {
      const { results } = await admin.channel.call(entryService(), 'BatchUpdateEntry', request, {
        timeoutMs: CALL_TIMEOUT_MS,
      });
      if (results[0]?.status?.code !== 0) throw new Error(results[0]?.status?.message);
    });
    try {
      await eventually(site, 'the canary', async () => {
        await supervision.bothUp();
        const late = lateStream(workloads.streams, { canary, since: 0 });
        if (late !== undefined) throw new Error(`${late.name} has not seen it; it saw ${late.canary} of ${canary}`);
      });
      return [];
    } catch (error) {
      return [`a stream did not resume: ${messageOf(error)}`];
    }
  };

  /** The agent that runs may have renewed its SVID after it was last looked at: then a second look explains it. */
  const readBackAgents = async (): Promise<string[]> => {
    if ((await checkAgents(nodeContext)).length === 0) return [];
    await supervision.seeAgent();
    return checkAgents(nodeContext);
  };

  const readBack = async (): Promise<string[]> => {
    const listed = (await admin.entries()).filter(isOfWriters);
    const findings = checkEntries(ledger, listed);
    settle(ledger, listed);
    findings.push(...(await checkTokens(nodeContext)), ...(await readBackAgents()));
    for (const node of nodes) findings.push(...(await node.check()));
    findings.push(...(await sightings.judge(await admin.bundle())));
    return findings;
  };

  const look = async (running: boolean): Promise<string[]> => [
    ...history.look(
      await eventually(site, 'the files of the server', () => readServerFiles(site.at('server'), running)),
    ),
    ...(existsSync(site.at('agent')) ? fileFindings(site.at('agent'), SECRET_AGENT_FILES) : []),
  ];

  return {
    get rotations() {
      return history.rotations;
    },
    resumed: () => supervision.bothUp(),
    async lookAtDead() {
      // A server that was killed before it made its first key has nothing yet.
      if (existsSync(site.at('server', 'keys.json'))) dead.push(...(await look(false)));
    },
    async check() {
      const findings = dead;
      dead = [];
      findings.push(...(await gate.closedFor(readBack)));
      findings.push(...(await look(true)));
      findings.push(...(await flyCanary()));
      return findings;
    },
    lastCheck: () => gate.closedFor(async () => [...(await readBack()), ...(await compareWithCommand(site, admin))]),
    async shutDown() {
      const findings: string[] = [];
      for (const victim of [site.agent, site.server]) {
        const code = await victim.stop();
        if (code !== 0) findings.push(`the ${victim.name} ended with ${code} on SIGTERM`);
      }
      findings.push(...(await look(false)));
      for (const [folder, secret] of [
        [site.at('server'), SECRET_SERVER_FILES],
        [site.at('agent'), SECRET_AGENT_FILES],
      ] as const) {
        findings.push(...leftTemporary(folder).map((name) => `a temporary file is left: ${path.join(folder, name)}`));
        findings.push(...fileFindings(folder, secret));
      }
      return findings;
    },
  };
}

/** What the command line shows is what the API shows. */
async function compareWithCommand(site: Site, admin: Admin): Promise<string[]> {
  const args = [path.join(CHECKOUT, 'bin', 'spire-server'), 'entry', 'show', '-output', 'json'];
  const shown = spawnSync(process.execPath, [...args, '-socketPath', site.serverSocket], {
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
  });
  if (shown.status !== 0) return [`entry show failed: ${shown.stderr}`];
  const { entries } = JSON.parse(shown.stdout) as { entries: Entry__Output[] };
  const byId = new Map(entries.map((entry) => [entry.id, wholeOf(entry)]));
  const listed = await admin.entries();
  const different = listed.filter((entry) => byId.get(entry.id) !== wholeOf(entry));
  return [
    ...(entries.length === listed.length ? [] : [`entry show has ${entries.length} entries of ${listed.length}`]),
    ...different.map(({ id }) => `entry show tells ${id} differently`),
  ];
}
