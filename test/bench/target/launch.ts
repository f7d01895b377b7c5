import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { connectUnix } from '../../../common/rpc/client.ts';
import { agentService } from '../../../common/rpc/services.ts';
import { spiffeId, type SpiffeId } from '../../../spiffe/id.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import { freePort } from '../../support/daemons.ts';
import { agentConfig, BENCH_TRUST_DOMAIN, type ConfigLines, type Places, serverConfig } from './launch-config.ts';
import { LaunchedProcess, programIn } from './launch-process.ts';
import { type AgentExpectation, type Started, untilServing } from './launch-ready.ts';
import { benchFolder, removeBenchFolder } from './leftovers.ts';

/** Which programs to start, and how. */
export interface LaunchOptions {
  /** A folder with `spire-server` and `spire-agent`. */
  readonly bin: string;
  /** For programs that are scripts of Node. */
  readonly nodeFlags?: readonly string[];
  /** Added to the environment of both programs. */
  readonly env?: Readonly<Record<string, string>>;
  readonly config?: ConfigLines;
  /** How long a start may take, in milliseconds; three minutes unless told, since a million entries take some. */
  readonly patienceMs?: number;
}

/** A server and an agent of one product in a folder of their own; made stopped, and removed with everything they wrote. */
export interface Site extends AsyncDisposable {
  readonly at: Places;
  /** `host:port` of the agent-facing API. */
  readonly address: string;
  readonly trustDomain: string;
  readonly server: LaunchedProcess;
  readonly agent: LaunchedProcess;
  /** Starts the server on whatever its data folder holds and waits until it serves. */
  startServer(): Promise<Started>;
  /**
   * Gives the agent a join token of the running server, and with it the ID that it will have, so that entries can be made
   * before it asks for them; resolves to the ID, also when it has one already.
   */
  admitAgent(): Promise<SpiffeId>;
  /** Attests the agent with its join token, or starts it on the identity it has; resolves when it serves. */
  startAgent(expected?: AgentExpectation): Promise<Started>;
}

const PATIENCE_MS = 180_000;

/** Lays out a site below a new folder of the system's temporary folder; nothing runs yet. */
export async function layOutSite(options: LaunchOptions): Promise<Site> {
  const folder = benchFolder();
  const at = placesIn(folder, await freePort());
  for (const dir of [at.serverData, at.agentData]) mkdirSync(dir, { mode: 0o700 });
  writeFileSync(at.serverConf, serverConfig(at, options.config));
  writeFileSync(at.agentConf, agentConfig(at, options.config));
  const { patienceMs = PATIENCE_MS } = options;
  const server = daemon('spire-server', at.serverConf, at.serverLog, options);
  const agent = daemon('spire-agent', at.agentConf, at.agentLog, options);
  let admitted: { readonly id: SpiffeId; readonly token: string } | undefined;
  let attested = false;
  const admit = async (): Promise<{ readonly id: SpiffeId; readonly token: string }> => {
    if (admitted !== undefined) return admitted;
    const token = await joinToken(at.adminSocket);
    const id = spiffeId(parseTrustDomain(BENCH_TRUST_DOMAIN), `/spire/agent/join_token/${token}`);
    admitted = { id, token };
    return admitted;
  };
  return {
    at,
    address: `127.0.0.1:${at.port}`,
    trustDomain: BENCH_TRUST_DOMAIN,
    server,
    agent,
    startServer() {
      server.start();
      return untilServing(server, 'server', at.adminSocket, patienceMs);
    },
    admitAgent: async () => (await admit()).id,
    async startAgent(expected) {
      agent.start(attested ? [] : ['-joinToken', (await admit()).token]);
      attested = true;
      return untilServing(agent, 'agent', at.workloadSocket, patienceMs, expected);
    },
    async [Symbol.asyncDispose]() {
      await agent.stop('SIGKILL');
      await server.stop('SIGKILL');
      removeBenchFolder(folder);
    },
  };
}

function placesIn(folder: string, port: number): Places {
  const at = (...parts: string[]): string => path.join(folder, ...parts);
  return {
    port,
    serverConf: at('server.conf'),
    agentConf: at('agent.conf'),
    serverData: at('server'),
    agentData: at('agent'),
    database: at('server', 'datastore.sqlite3'),
    adminSocket: at('private', 'api.sock'),
    workloadSocket: at('public', 'api.sock'),
    serverLog: at('server.log'),
    agentLog: at('agent.log'),
  };
}

function daemon(name: string, config: string, log: string, options: LaunchOptions): LaunchedProcess {
  return new LaunchedProcess(name, {
    program: programIn(options.bin, name, options.nodeFlags),
    args: ['run', '-config', config],
    log,
    ...(options.env && { env: options.env }),
  });
}

/** A join token by the admin API of a server. */
export async function joinToken(adminSocket: string): Promise<string> {
  const channel = connectUnix(adminSocket);
  try {
    return (await channel.call(agentService(), 'CreateJoinToken', { ttl: 3600 }, { timeoutMs: 30_000 })).value;
  } finally {
    channel.close();
  }
}
