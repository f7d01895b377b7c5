import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type ErrorCode, hasCode } from '../../common/errors.ts';
import { CHECKOUT } from '../support/checkout.ts';
import { killAtExit } from '../support/daemons.ts';

/** A server or an agent as a process that is killed and started again. */
export interface Victim {
  readonly name: 'server' | 'agent';
  /** How often it was started. */
  readonly starts: number;
  readonly running: boolean;
  /** Whether somebody stopped it with SIGSTOP. */
  readonly held: boolean;
  /** Unix milliseconds of the last start. */
  readonly startedAt: number;
  start(more?: readonly string[]): void;
  /** SIGKILL, until it is gone. */
  kill(): Promise<void>;
  /** SIGTERM. @returns the exit code */
  stop(): Promise<number | null>;
  /** Hears of each line as it is written. */
  onLine(listener: (line: string) => void): void;
  /** The last lines that it wrote. */
  readonly tail: readonly string[];
}

const TAIL_LINES = 20;

/** @param folder gets `<name>.log`, and `<name>.pid` of the last start for whoever kills by hand */
export function newVictim(name: 'server' | 'agent', config: string, folder: string): Victim {
  let child: ChildProcess | undefined;
  let starts = 0;
  let startedAt = 0;
  let tail: string[] = [];
  const listeners: ((line: string) => void)[] = [];
  const running = (): boolean => child !== undefined && child.exitCode === null && child.signalCode === null;
  const end = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> => {
    if (child === undefined || !running()) return child?.exitCode ?? null;
    child.kill(signal);
    await once(child, 'exit');
    return child.exitCode;
  };
  return {
    name,
    get starts() {
      return starts;
    },
    get startedAt() {
      return startedAt;
    },
    get running() {
      return running();
    },
    get held() {
      return running() && isHeld(child?.pid);
    },
    get tail() {
      return tail;
    },
    start(more = []) {
      const program = path.join(CHECKOUT, 'bin', `spire-${name}`);
      child = spawn(process.execPath, [program, 'run', '-config', config, ...more], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      killAtExit(child);
      starts += 1;
      startedAt = Date.now();
      writeFileSync(path.join(folder, `${name}.pid`), `${child.pid}\n`);
      for (const stream of [child.stdout, child.stderr]) {
        let rest = '';
        stream?.on('data', (part: Buffer) => {
          keep(path.join(folder, `${name}.log`), part);
          const lines = (rest + String(part)).split('\n');
          rest = lines.pop() ?? '';
          tail = [...tail, ...lines].slice(-TAIL_LINES);
          for (const line of lines) for (const listener of listeners) listener(line);
        });
      }
    },
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
    onLine: (listener) => void listeners.push(listener),
  };
}

/** Appends to a log; a full disk must not end the checker too. */
function keep(file: string, part: Buffer): void {
  try {
    appendFileSync(file, part);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
  }
}

/** Whether somebody holds the process with SIGSTOP (proc(5), stat, field 3). */
function isHeld(pid: number | undefined): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return /^ [Tt]/.test(stat.slice(stat.lastIndexOf(')') + 1));
  } catch {
    // It has ended.
    return false;
  }
}

/** Where everything of a site is. */
export interface Site {
  readonly folder: string;
  readonly port: number;
  readonly server: Victim;
  readonly agent: Victim;
  readonly serverSocket: string;
  readonly agentSocket: string;
  /** Whether an error is no answer: what was asked for may have happened or not. */
  readonly isOutage: (error: unknown) => boolean;
  /** The same of the status of an item, as google.rpc.Code. */
  readonly outageCodes: ReadonlySet<number>;
  /** How long anything may take to come back, milliseconds. */
  readonly patienceMs: number;
  readonly at: (...parts: string[]) => string;
}

export const TRUST_DOMAIN = 'example.org';

/** What of a site is as fast as the test wants it. */
export interface SiteTimes {
  /** Seconds that an authority is valid: the next one is made after half of it, and signs after five sixths. */
  readonly caTtl: number;
  /** Seconds. */
  readonly syncInterval: number;
  /** True when others stop processes and fill disks: then errors inside the server are no findings by themselves. */
  readonly faultsOfOthers: boolean;
}

/** Longer than any restart takes on a slow and busy machine. */
const PATIENCE_MS = 60_000;
/** Longer than others leave a process stopped or a disk full. */
const PATIENCE_WITH_FAULTS_MS = 15 * 60_000;
/** What a connection that broke comes to, with the numbers of google.rpc.Code. */
const INTERRUPTIONS = { cancelled: 1, 'deadline-exceeded': 4, unavailable: 14 } as const;
/** What a full disk or a database that cannot be written comes to besides. */
const OUTAGES = { ...INTERRUPTIONS, internal: 13, 'resource-exhausted': 8, unknown: 2 } as const;

/** Writes the configuration; nothing runs yet. */
export function newSite(folder: string, port: number, times: SiteTimes): Site {
  const at = (...parts: string[]): string => path.join(folder, ...parts);
  const outages = times.faultsOfOthers ? OUTAGES : INTERRUPTIONS;
  writeFileSync(at('server.conf'), serverConfig(at, port, times));
  writeFileSync(at('agent.conf'), agentConfig(at, port, times));
  return {
    ...{ folder, port, at },
    isOutage: (error) => Object.keys(outages).some((code) => hasCode(error, code as ErrorCode)),
    outageCodes: new Set(Object.values(outages)),
    patienceMs: times.faultsOfOthers ? PATIENCE_WITH_FAULTS_MS : PATIENCE_MS,
    server: newVictim('server', at('server.conf'), folder),
    agent: newVictim('agent', at('agent.conf'), folder),
    serverSocket: at('private', 'api.sock'),
    agentSocket: at('public', 'api.sock'),
  };
}

function serverConfig(at: Site['at'], port: number, { caTtl }: SiteTimes): string {
  return `server {
  bind_address = "127.0.0.1"
  bind_port = "${port}"
  socket_path = "${at('private', 'api.sock')}"
  trust_domain = "${TRUST_DOMAIN}"
  data_dir = "${at('server')}"
  log_level = "DEBUG"
  ca_ttl = "${caTtl}s"
  ratelimit { attestation = false signing = false }
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${at('server', 'datastore.sqlite3')}" } }
  KeyManager "disk" { plugin_data { keys_path = "${at('server', 'keys.json')}" } }
  NodeAttestor "join_token" { plugin_data {} }
}
`;
}

function agentConfig(at: Site['at'], port: number, { syncInterval }: SiteTimes): string {
  return `agent {
  data_dir = "${at('agent')}"
  log_level = "DEBUG"
  server_address = "127.0.0.1"
  server_port = ${port}
  socket_path = "${at('public', 'api.sock')}"
  trust_bundle_path = "${at('bundle.pem')}"
  trust_domain = "${TRUST_DOMAIN}"
  experimental { sync_interval = "${syncInterval}s" }
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "disk" { plugin_data { directory = "${at('agent')}" } }
  WorkloadAttestor "unix" { plugin_data {} }
}
`;
}
