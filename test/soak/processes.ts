import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** The checkout, from the sources as well as from below `dist`. */
export const CHECKOUT = (() => {
  let folder = import.meta.dirname;
  while (!existsSync(path.join(folder, 'package-lock.json'))) folder = path.dirname(folder);
  return folder;
})();

/** A server or an agent as a process that is killed and started again. */
export interface Victim {
  readonly name: 'server' | 'agent';
  /** How often it was started. */
  readonly starts: number;
  readonly running: boolean;
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
    get tail() {
      return tail;
    },
    start(more = []) {
      const program = path.join(CHECKOUT, 'bin', `spire-${name}`);
      child = spawn(process.execPath, [program, 'run', '-config', config, ...more], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      starts += 1;
      startedAt = Date.now();
      writeFileSync(path.join(folder, `${name}.pid`), `${child.pid}\n`);
      for (const stream of [child.stdout, child.stderr]) {
        let rest = '';
        stream?.on('data', (part: Buffer) => {
          appendFileSync(path.join(folder, `${name}.log`), part);
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

/** Where everything of a site is. */
export interface Site {
  readonly folder: string;
  readonly port: number;
  readonly server: Victim;
  readonly agent: Victim;
  readonly serverSocket: string;
  readonly agentSocket: string;
  readonly at: (...parts: string[]) => string;
}

export const TRUST_DOMAIN = 'example.org';

/** What of a site is as fast as the test wants it. */
export interface SiteTimes {
  /** Seconds that an authority is valid: the next one is made after half of it, and signs after five sixths. */
  readonly caTtl: number;
  /** Seconds. */
  readonly syncInterval: number;
}

/** Writes the configuration; nothing runs yet. */
export function newSite(folder: string, port: number, times: SiteTimes): Site {
  const at = (...parts: string[]): string => path.join(folder, ...parts);
  writeFileSync(at('server.conf'), serverConfig(at, port, times));
  writeFileSync(at('agent.conf'), agentConfig(at, port, times));
  return {
    ...{ folder, port, at },
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
