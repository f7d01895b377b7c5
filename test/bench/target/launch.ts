import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { connectUnix } from '../../../common/rpc/client.ts';
import { agentService } from '../../../common/rpc/services.ts';
import { freePort } from '../../support/daemons.ts';
import { agentConfig, BENCH_TRUST_DOMAIN, type ConfigLines, type Places, serverConfig } from './launch-config.ts';
import { LaunchedProcess, programIn } from './launch-process.ts';
import { type Started, untilServing } from './launch-ready.ts';

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
  /** Attests the agent with a new join token, or starts it on the identity it has; resolves when it serves. */
  startAgent(): Promise<Started>;
  /** The SPIFFE ID of the agent, once it has been started. */
  readonly agentId: string | undefined;
}

const PATIENCE_MS = 180_000;

/** Lays out a site below a new folder of the system's temporary folder; nothing runs yet. */
export async function layOutSite(options: LaunchOptions): Promise<Site> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'finial-bench-'));
  const at = placesIn(folder, await freePort());
  for (const dir of [at.serverData, at.agentData]) mkdirSync(dir, { mode: 0o700 });
  writeFileSync(at.serverConf, serverConfig(at, options.config));
  writeFileSync(at.agentConf, agentConfig(at, options.config));
  const { patienceMs = PATIENCE_MS } = options;
  const server = daemon('spire-server', at.serverConf, at.serverLog, options);
  const agent = daemon('spire-agent', at.agentConf, at.agentLog, options);
  let agentId: string | undefined;
  return {
    at,
    address: `127.0.0.1:${at.port}`,
    trustDomain: BENCH_TRUST_DOMAIN,
    server,
    agent,
    get agentId() {
      return agentId;
    },
    startServer() {
      server.start();
      return untilServing(server, 'server', at.adminSocket, patienceMs);
    },
    async startAgent() {
      if (agentId === undefined) {
        const token = await joinToken(at.adminSocket);
        agentId = `spiffe://${BENCH_TRUST_DOMAIN}/spire/agent/join_token/${token}`;
        agent.start(['-joinToken', token]);
      } else {
        agent.start();
      }
      return untilServing(agent, 'agent', at.workloadSocket, patienceMs);
    },
    async [Symbol.asyncDispose]() {
      await agent.stop('SIGKILL');
      await server.stop('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
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
