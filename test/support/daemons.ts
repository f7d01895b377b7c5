import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { CHECKOUT } from './checkout.ts';
import { agentConfig, serverConfig, TRUST_DOMAIN } from './site-config.ts';
import { isStall, LONGEST_TURN_MS, longTurns, noteStall, stallMonitor } from './stall-monitor.ts';

/** On which a daemon tells its long turns. */
const STALL_FD = 3;

export { TRUST_DOMAIN };

const bin = (name: string): string => path.join(CHECKOUT, 'bin', name);

const running = new Set<ChildProcess>();
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** Whatever ends this process, short of SIGKILL, ends that one too. */
export function killAtExit(child: ChildProcess): void {
  running.add(child);
  child.once('exit', () => running.delete(child));
}

/** How long a daemon may take for anything before a test fails; generous, since CI machines are slow. */
const PATIENCE_MS = 15_000;

/** What a finished command printed. */
export interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Runs as this user and group; needs root. */
  readonly uid?: number;
  readonly cwd?: string;
}

/** Runs one of our commands to its end. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const child = spawn(process.execPath, [bin(program), ...args], {
    stdio: 'pipe',
    env: { ...process.env, ...options.env },
    ...(options.uid !== undefined && { uid: options.uid, gid: options.uid }),
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  child.stdin.end(options.stdin ?? '');
  let out = '';
  let err = '';
  child.stdout.on('data', (part) => {
    out += String(part);
  });
  child.stderr.on('data', (part) => {
    err += String(part);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

/** How a daemon is run otherwise than usual. */
export interface DaemonOptions {
  /** How many files it may have open; needs prlimit(1). */
  readonly descriptors?: number;
  /** Added to its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A server or an agent as a process, with its output collected. */
export class Daemon {
  readonly #program: string;
  readonly #args: readonly string[];
  readonly #before: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;
  #output = '';
  #readyAt = Number.POSITIVE_INFINITY;
  readonly #floods: { readonly from: number; to: number; readonly longestMs: number }[] = [];

  constructor(program: string, args: readonly string[], { descriptors, env = {} }: DaemonOptions = {}) {
    this.#program = program;
    this.#args = args;
    this.#env = env;
    this.#before = descriptors === undefined ? [] : ['prlimit', `--nofile=${descriptors}:${descriptors}`];
  }

  start(more: readonly string[] = []): void {
    const monitor = stallMonitor(STALL_FD);
    const node = [process.execPath, ...monitor.args];
    const command = [...this.#before, ...node, bin(this.#program), ...this.#args, ...more];
    const child = spawn(command[0] ?? '', command.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...this.#env, ...monitor.env },
    });
    killAtExit(child);
    this.#readyAt = Number.POSITIVE_INFINITY;
    child.stdio[STALL_FD]?.on('data', (part: Buffer) => this.#judge(String(part)));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (part) => {
        this.#output += String(part);
      });
    }
    this.#child = child;
  }

  /** Says that start-up is over: from now on no turn of its event loop may be long. */
  noteReady(): void {
    this.#readyAt = Date.now();
  }

  /**
   * Says that it is being flooded: hundreds of calls may come in one packet, and so in one turn of its event loop.
   *
   * @param longestMs how long such a turn may compute
   * @returns to be called when the flood is over
   */
  noteFlood(longestMs: number): () => void {
    const flood = { from: Date.now(), to: Number.POSITIVE_INFINITY, longestMs };
    this.#floods.push(flood);
    return () => {
      flood.to = Date.now();
    };
  }

  #judge(told: string): void {
    for (const turn of longTurns(told)) {
      const flood = this.#floods.find(({ from, to }) => turn.at >= from && turn.at - turn.wallMs <= to);
      const longest = flood?.longestMs ?? LONGEST_TURN_MS;
      if (turn.at - turn.wallMs > this.#readyAt && isStall(turn, longest)) noteStall(this.#program, turn);
    }
  }

  /** Everything it printed since it was made, over all its starts. */
  get output(): string {
    return this.#output;
  }

  /** Of the process last started; 0 before. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Ends it and resolves to its exit code. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || !this.running) return child?.exitCode ?? null;
    child.kill(signal);
    await once(child, 'exit');
    return child.exitCode;
  }

  /** Resolves to the exit code once it has ended by itself. */
  async ended(): Promise<number | null> {
    if (this.#child !== undefined && this.running) await once(this.#child, 'exit');
    return this.#child?.exitCode ?? null;
  }
}

/**
 * Asks until `attempt` no longer throws.
 *
 * @param patienceMs more than the usual for what comes about by a slow timer
 */
export async function eventually<T>(what: string, attempt: () => Promise<T> | T, patienceMs = PATIENCE_MS): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > deadline)
        throw new Error(`${what} did not come about: ${String(error)}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Below the ports that a kernel hands out by itself, which another process might get between the look and the use. */
const OWN_PORTS = { from: 12_000, to: 32_000 } as const;
let nextPort = OWN_PORTS.from + ((process.pid * 97) % (OWN_PORTS.to - OWN_PORTS.from));

/** A port that nobody listens on, and that nobody gets who does not ask for it by number. */
export async function freePort(): Promise<number> {
  for (;;) {
    nextPort = nextPort + 1 < OWN_PORTS.to ? nextPort + 1 : OWN_PORTS.from;
    if (await isFree(nextPort)) return nextPort;
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = net.createServer();
  const free = await new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => resolve(true));
  });
  if (free) await new Promise<void>((resolve) => probe.close(() => resolve()));
  return free;
}

export interface SiteOptions extends DaemonOptions {
  /** Lines for the `server` block. */
  readonly server?: string;
  /** Lines for the `agent` block. */
  readonly agent?: string;
}

/** A server and an agent with files of their own below a folder. */
export interface Site {
  readonly folder: string;
  readonly port: number;
  readonly server: Daemon;
  readonly agent: Daemon;
  readonly serverSocket: string;
  readonly agentSocket: string;
  /** Runs a `spire-server` command against the site's server. */
  serverCommand(...args: string[]): Promise<Finished>;
  /** Runs a `spire-agent` command against the site's agent. */
  agentCommand(...args: string[]): Promise<Finished>;
  /** Starts the server and waits until it is healthy. */
  startServer(): Promise<void>;
  /** Attests the agent with a fresh token and waits until it is healthy; resolves to its SPIFFE ID. */
  attestAgent(): Promise<string>;
  /** Starts the agent on what it has on disk. */
  restartAgent(): Promise<void>;
  stop(): Promise<void>;
}

/** Writes the configuration of a site; nothing runs yet. */
export async function makeSite(folder: string, options: SiteOptions = {}): Promise<Site> {
  const port = await freePort();
  const at = (...parts: string[]): string => path.join(folder, ...parts);
  for (const name of ['server', 'agent']) mkdirSync(at(name), { recursive: true });
  writeFileSync(at('server.conf'), serverConfig(at, port, options.server ?? ''));
  writeFileSync(at('agent.conf'), agentConfig(at, port, options.agent ?? ''));
  const serverSocket = at('private', 'api.sock');
  const agentSocket = at('public', 'api.sock');
  const server = new Daemon('spire-server', ['run', '-config', at('server.conf')], options);
  const agent = new Daemon('spire-agent', ['run', '-config', at('agent.conf')], options);
  const serverCommand = (...args: string[]) => run('spire-server', [...args, '-socketPath', serverSocket]);
  const agentCommand = (...args: string[]) => run('spire-agent', [...args, '-socketPath', agentSocket]);
  const healthy = async (what: 'server' | 'agent', daemon: Daemon, command: typeof serverCommand): Promise<void> => {
    await eventually(`a healthy ${what}`, async () => {
      const { code, err } = await command('healthcheck');
      if (code !== 0) throw new Error(`${err}\n${daemon.output}`);
    });
    daemon.noteReady();
  };
  return {
    folder,
    port,
    server,
    agent,
    serverSocket,
    agentSocket,
    serverCommand,
    agentCommand,
    async startServer() {
      server.start();
      await healthy('server', server, serverCommand);
    },
    async attestAgent() {
      const bundle = await serverCommand('bundle', 'show');
      writeFileSync(at('bundle.pem'), bundle.out);
      const { out } = await serverCommand('token', 'generate', '-spiffeID', `spiffe://${TRUST_DOMAIN}/node`);
      const token = /Token: (\S+)/.exec(out)?.[1] ?? '';
      agent.start(['-joinToken', token]);
      await healthy('agent', agent, agentCommand);
      return `spiffe://${TRUST_DOMAIN}/spire/agent/join_token/${token}`;
    },
    async restartAgent() {
      agent.start();
      await healthy('agent', agent, agentCommand);
    },
    async stop() {
      await agent.stop('SIGKILL');
      await server.stop('SIGKILL');
    },
  };
}

/** The IDs of the roots in a bundle as `bundle show -output json` prints it, and those of its JWT keys. */
export function authoritiesOf(bundleJson: string): { x509: string[]; jwt: string[] } {
  const bundle = JSON.parse(bundleJson) as {
    x509_authorities: { asn1: string }[];
    jwt_authorities: { key_id: string }[];
  };
  return {
    x509: bundle.x509_authorities.map(({ asn1 }) => asn1),
    jwt: bundle.jwt_authorities.map(({ key_id }) => key_id),
  };
}

/** The mode bits of files that matter are asserted on their text form. */
export function fileText(...parts: string[]): string {
  return readFileSync(path.join(...parts), 'utf8');
}
