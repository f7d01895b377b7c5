import { CloseStack } from '../../../common/lifecycle.ts';
import { connectUnix, type RpcChannel } from '../../../common/rpc/client.ts';
import { agentService } from '../../../common/rpc/services.ts';
import type { AgentUnderTest, Bench, Row, ServerUnderTest } from '../row.ts';
import { attestBenchAgent, type BenchAgent, createEntries, serverBundle } from '../seed/api.ts';
import { seedEntries } from '../seed/entries.ts';
import { sweep } from '../seed/sweep.ts';
import { type SeedFiles, seedFiles } from '../seed/sqlite.ts';
import { BENCH_TRUST_DOMAIN } from './launch-config.ts';
import { layOutSite, type Site } from './launch.ts';
import { benchFolder, removeBenchFolder } from './leftovers.ts';
import type { TargetAddress } from './parse.ts';
import { listenerPid } from './process.ts';

/** Answers of a server with 100,000 entries are large. */
const LIMITS = { maxReceiveBytes: 256 * 1024 * 1024 } as const;

/** A target during a run: what was started for it, until it is disposed of. */
export interface Session extends AsyncDisposable {
  readonly bench: Bench;
  /** Why a row cannot be run against this target; undefined when it can. */
  cannot(row: Row): string | undefined;
  /**
   * Ends what rows left behind that others cannot use.
   *
   * @param failed whether calls of the row failed: an agent of the bench's own is then killed and started anew, since
   *   some never recover from a load, and further rows would say the same again
   */
  afterRow(failed: boolean): Promise<void>;
}

/** @param sizes see `Bench` */
export function openSession(
  target: TargetAddress,
  { keep, ...sizes }: { readonly seconds: number; readonly shrink: number; readonly keep: boolean },
): Session {
  const stack = new CloseStack();
  const scratch = benchFolder();
  stack.defer('seeds', () => removeBenchFolder(scratch));
  const seeds = seedFiles(scratch, BENCH_TRUST_DOMAIN, Date.now);
  const sites = new SiteStore(target, seeds);
  stack.defer('sites', () => sites[Symbol.asyncDispose]());
  const servers = new Map<number, Promise<ServerUnderTest>>();
  let found: Promise<OutsideServer> | undefined;
  /** One server, however many entries it is asked for. */
  const outside = async (entries: number): Promise<OutsideServer> => {
    const server = await (found ??= outsideServer(target, stack, keep));
    if (entries > 0) await seedByApi(server, entries, target.label);
    return server;
  };
  const serverWith = (entries: number): Promise<ServerUnderTest> => {
    let server = servers.get(entries);
    if (server === undefined) {
      server = target.bin === undefined ? outside(entries) : startedServer(sites, entries, stack);
      servers.set(entries, server);
    }
    return server;
  };
  let agent: Promise<AgentUnderTest> | undefined;
  const bench: Bench = {
    ...sizes,
    label: target.label,
    bin: target.bin ?? '',
    server: serverWith,
    agent: () => (agent ??= target.bin === undefined ? outsideAgent(target, outside) : startedAgent(sites, serverWith)),
    site: (entries) => sites.fresh(entries),
  };
  return {
    bench,
    cannot({ needs }) {
      if (target.bin !== undefined || needs === 'nothing') return undefined;
      if (needs === 'bin') return 'needs bin=DIR, as it starts the programs itself';
      if (needs === 'agent' && target.agent === undefined) return 'needs agent=SOCKET';
      if (needs === 'server' && target.server === undefined) return 'needs server=HOST:PORT';
      return undefined;
    },
    async afterRow(failed) {
      await sites.dropFresh();
      if (!failed || agent === undefined) return;
      agent = undefined;
      if (target.bin !== undefined) await (await sites.kept(0)).agent.stop('SIGKILL');
    },
    [Symbol.asyncDispose]: () => stack.close(),
  };
}

/** Servers and agents that the bench started. */
class SiteStore implements AsyncDisposable {
  readonly #target: TargetAddress;
  readonly #seeds: SeedFiles;
  readonly #kept = new Map<number, Promise<Site>>();
  #fresh: Site[] = [];

  constructor(target: TargetAddress, seeds: SeedFiles) {
    this.#target = target;
    this.#seeds = seeds;
  }

  /** A site that only one row uses. */
  async fresh(entries: number): Promise<Site> {
    const site = await layOutSite({ bin: this.#target.bin ?? '' });
    this.#fresh.push(site);
    if (entries > 0) this.#seeds.copyTo(site.at.database, entries);
    return site;
  }

  /** A site whose server runs until the end. */
  kept(entries: number): Promise<Site> {
    let site = this.#kept.get(entries);
    if (site === undefined) {
      site = this.#start(entries);
      this.#kept.set(entries, site);
    }
    return site;
  }

  async #start(entries: number): Promise<Site> {
    const site = await layOutSite({ bin: this.#target.bin ?? '' });
    if (entries > 0) this.#seeds.copyTo(site.at.database, entries);
    await site.startServer();
    return site;
  }

  async dropFresh(): Promise<void> {
    for (const site of this.#fresh.splice(0)) await site[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dropFresh();
    for (const site of await Promise.allSettled(this.#kept.values())) {
      if (site.status === 'fulfilled') await site.value[Symbol.asyncDispose]();
    }
  }
}

async function startedServer(sites: SiteStore, entries: number, stack: CloseStack): Promise<ServerUnderTest> {
  const { address, at } = await sites.kept(entries);
  return serverAt(address, at.adminSocket, stack);
}

/** A server that somebody else started. */
interface OutsideServer extends ServerUnderTest {
  /** Agents that it knew before the bench played any; one of them is behind the agent's socket. */
  readonly before: readonly string[];
}

async function outsideServer(
  { server = '', admin = '' }: TargetAddress,
  stack: CloseStack,
  keep: boolean,
): Promise<OutsideServer> {
  const found = await serverAt(server, admin, stack);
  const { agents } = await found.admin.call(agentService(), 'ListAgents', {}, { timeoutMs: 30_000 });
  stack.defer('what the bench made on the server', () => sweep(found.admin, found.played, keep));
  return { ...found, before: agents.map(({ id }) => `spiffe://${id?.trust_domain}${id?.path}`) };
}

/** How often it is said how far the seeding is, in milliseconds. */
const SAY_EVERY_MS = 10_000;

/** Makes entries by the admin API, which takes some servers many minutes: they are told apart from one that hangs. */
async function seedByApi({ admin }: ServerUnderTest, entries: number, label: string): Promise<void> {
  const { trustDomain } = await serverBundle(admin);
  let said = Date.now();
  await createEntries(admin, seedEntries(trustDomain, entries), (made) => {
    if (Date.now() - said < SAY_EVERY_MS) return;
    said = Date.now();
    console.error(`${label}: ${made} of ${entries} entries made through the admin socket`);
  });
}

async function serverAt(address: string, adminSocket: string, stack: CloseStack): Promise<ServerUnderTest> {
  const admin: RpcChannel = connectUnix(adminSocket, LIMITS);
  stack.defer('admin channel', () => admin.close());
  const agents = new Map<number, Promise<BenchAgent>>();
  const played: string[] = [];
  return {
    played,
    address,
    adminSocket,
    admin,
    pid: await listenerPid(adminSocket),
    agent(n) {
      let agent = agents.get(n);
      if (agent === undefined) {
        agent = attestBenchAgent({ address, admin, played });
        agents.set(n, agent);
      }
      return agent;
    },
  };
}

async function outsideAgent(
  target: TargetAddress,
  outside: (entries: number) => Promise<OutsideServer>,
): Promise<AgentUnderTest> {
  const server = await outside(0);
  const socketPath = target.agent ?? '';
  if (server.before.length === 0)
    throw new Error(`the server behind ${target.admin} knows no agent, so ${socketPath} is not of one`);
  return { socketPath, server, ids: server.before, pid: await listenerPid(socketPath) };
}

async function startedAgent(
  sites: SiteStore,
  serverWith: (entries: number) => Promise<ServerUnderTest>,
): Promise<AgentUnderTest> {
  const server = await serverWith(0);
  const site = await sites.kept(0);
  if (!site.agent.running) await site.startAgent();
  const socketPath = site.at.workloadSocket;
  return { socketPath, server, ids: [await site.admitAgent()], pid: await listenerPid(socketPath) };
}
