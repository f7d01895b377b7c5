import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { createX509Source } from '../../client/x509-source.ts';
import { workloadApi } from '../../client/workload-api.ts';
import { connectUnix, type RpcChannel } from '../../common/rpc/client.ts';
import { entryService } from '../../common/rpc/services.ts';
import { type Daemon, eventually, makeSite, TRUST_DOMAIN } from '../support/daemons.ts';
import { CHECKOUT } from '../support/checkout.ts';

export interface LeakHuntOptions {
  /** An empty folder whose path is short, for the files of server and agent. */
  readonly folder: string;
  /** Rotations of a workload's SVID between the two looks. */
  readonly rotations: number;
  readonly say: (line: string) => void;
}

/** What a daemon holds once all garbage is collected. */
export interface Holdings {
  /** Heap and array buffers. */
  readonly heapBytes: number;
  readonly descriptors: number;
  /** Open timers; those that do not keep the process alive are not counted by Node. */
  readonly timers: number;
  readonly handles: number;
  /** Of the process object. */
  readonly listeners: number;
}

export interface LeakHuntResult {
  readonly rotations: number;
  readonly before: Readonly<Record<Program, Holdings>>;
  readonly after: Readonly<Record<Program, Holdings>>;
  /** What grew; empty when all is well. */
  readonly findings: readonly string[];
}

type Program = 'server' | 'agent';

/** A daemon keeps learning for a while: compiled code, pools, a first connection of each kind. */
const WARM_UP = 8;
/**
 * The caches of compiled code still move by hundreds of kilobytes. Each rotation makes a key, a request, a certificate and
 * an update; were they kept, with all that hangs on them, that would be 20 kB and more each time.
 */
const SLACK_BYTES = 2_000_000;
const BYTES_PER_ROTATION = 8000;
/** A call or a look at the database may be under way at the moment of the look. */
const SLACK_HANDLES = 4;

/** SVIDs of four seconds are renewed every two or three: an hour with the default of one hour has two renewals. */
const TIMES = {
  server: 'ca_ttl = "90s"\n  default_x509_svid_ttl = "4s"\n  agent_ttl = "15s"',
  agent: 'experimental { sync_interval = "1s" }',
};

/**
 * Runs rotations in fast time under the load that makes a daemon allocate: open streams, workloads that come and go, tokens,
 * entries that change. Looks at what both daemons hold before and after.
 */
export async function leakHunt({ folder, rotations, say }: LeakHuntOptions): Promise<LeakHuntResult> {
  const probes = path.join(folder, 'probes');
  mkdirSync(probes);
  const site = await makeSite(folder, TIMES);
  const stop = new AbortController();
  const restore = setEnvironment({
    NODE_OPTIONS: `--import=${pathToFileURL(path.join(CHECKOUT, 'test/support/growth-probe-preload.mjs')).href}`,
    FINIAL_GROWTH_FOLDER: probes,
  });
  let load: Promise<void> = Promise.resolve();
  try {
    await site.startServer();
    const agentId = await site.attestAgent();
    restore();
    const selector = `unix:uid:${process.geteuid?.() ?? 0}`;
    const entry = ['-parentID', agentId, '-spiffeID', `spiffe://${TRUST_DOMAIN}/leaks`, '-selector', selector];
    const created = await site.serverCommand('entry', 'create', ...entry);
    if (created.code !== 0) throw new Error(created.err);
    const address = `unix:${site.agentSocket}`;
    const sources = await Promise.all(
      Array.from({ length: 3 }, () => createX509Source({ address, timeoutMs: 15_000 })),
    );
    load = runLoad(address, site.serverSocket, agentId, stop.signal);
    // A load that broke off is not to wait for its end to be heard of.
    load.catch(() => {
      stop.abort();
    });
    try {
      await rotate(sources[0], WARM_UP, stop.signal);
      const before = await look(site, probes);
      say(`after ${WARM_UP} rotations: ${JSON.stringify(before)}`);
      await rotate(sources[0], rotations, stop.signal);
      const after = await look(site, probes);
      say(`after ${rotations} more: ${JSON.stringify(after)}`);
      stop.abort();
      await load;
      const findings = [...growth('server', rotations, before, after), ...growth('agent', rotations, before, after)];
      for (const daemon of [site.server, site.agent]) {
        if (daemon.output.includes('MaxListenersExceededWarning')) findings.push('listeners pile up on one object');
      }
      return { rotations, before, after, findings };
    } finally {
      for (const source of sources) source.close();
    }
  } finally {
    restore();
    stop.abort();
    await Promise.allSettled([load]);
    await site.stop();
  }
}

function setEnvironment(wanted: Readonly<Record<string, string>>): () => void {
  const before = Object.keys(wanted).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, wanted);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
  };
}

/** Waits until the SVID of the source was replaced so many times. */
async function rotate(
  source: Awaited<ReturnType<typeof createX509Source>> | undefined,
  times: number,
  signal: AbortSignal,
): Promise<void> {
  let left = times;
  let expiry = source?.svid.notAfter;
  await new Promise<void>((resolve, reject) => {
    const end = source?.onUpdate(() => {
      const now = source.svid.notAfter;
      if (now === expiry) return;
      expiry = now;
      left -= 1;
      if (left > 0) return;
      end?.();
      resolve();
    });
    signal.addEventListener('abort', () => reject(new Error('the load broke off')), { once: true });
  });
}

/** Everything else that makes daemons allocate, until `signal` aborts. */
async function runLoad(address: string, socketPath: string, parentId: string, signal: AbortSignal): Promise<void> {
  const admin = connectUnix(socketPath);
  const api = workloadApi({ address });
  try {
    for (let round = 0; !signal.aborted; round += 1) {
      const visitor = await createX509Source({ address, timeoutMs: 15_000 });
      visitor.close();
      const [svid] = await api.fetchJwtSvids({ audience: [`audience-${round % 5}`] }, { timeoutMs: 15_000 });
      await api.validateJwtSvid(svid.token, `audience-${round % 5}`, { timeoutMs: 15_000 });
      await comeAndGo(admin, parentId, round);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } finally {
    api.close();
    admin.close();
  }
}

/** An entry that is made and deleted again. */
async function comeAndGo(admin: RpcChannel, parentId: string, round: number): Promise<void> {
  const id = (text: string) => ({ trust_domain: TRUST_DOMAIN, path: text });
  const entry = {
    ...{ id: `visitor-${round}`, spiffe_id: id(`/visitor/${round}`), parent_id: id(new URL(parentId).pathname) },
    selectors: [{ type: 'unix', value: `uid:${100_000 + round}` }],
  };
  const options = { timeoutMs: 15_000 };
  await admin.call(entryService(), 'BatchCreateEntry', { entries: [entry] }, options);
  await admin.call(entryService(), 'BatchDeleteEntry', { ids: [entry.id] }, options);
}

async function look(site: { readonly server: Daemon; readonly agent: Daemon }, probes: string) {
  return { server: await holdingsOf(site.server, probes), agent: await holdingsOf(site.agent, probes) };
}

/** The smallest of three looks, as what is under way comes on top. */
async function holdingsOf(daemon: Daemon, probes: string): Promise<Holdings> {
  const file = path.join(probes, String(daemon.pid));
  const looks: Holdings[] = [];
  for (let time = 0; time < 3; time += 1) {
    rmSync(file, { force: true });
    process.kill(daemon.pid, 'SIGWINCH');
    await eventually('an answer of the probe', () => {
      if (!existsSync(file)) throw new Error('nothing is written yet');
    });
    looks.push(JSON.parse(readFileSync(file, 'utf8')) as Holdings);
  }
  const least = (name: keyof Holdings): number => Math.min(...looks.map((one) => one[name]));
  return {
    heapBytes: least('heapBytes'),
    descriptors: least('descriptors'),
    timers: least('timers'),
    handles: least('handles'),
    listeners: least('listeners'),
  };
}

/** What grew beyond what may. */
export function growth(
  program: Program,
  rotations: number,
  before: Readonly<Record<Program, Holdings>>,
  after: Readonly<Record<Program, Holdings>>,
): string[] {
  const most: Holdings = {
    heapBytes: SLACK_BYTES + rotations * BYTES_PER_ROTATION,
    descriptors: SLACK_HANDLES,
    timers: SLACK_HANDLES,
    handles: SLACK_HANDLES,
    listeners: 0,
  };
  return (Object.keys(most) as (keyof Holdings)[])
    .filter((name) => after[program][name] - before[program][name] > most[name])
    .map((name) => `${program}: ${name} grew from ${before[program][name]} to ${after[program][name]}`);
}
