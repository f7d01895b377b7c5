import { randomInt } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';

/** Where everything of one run of the demo lives. */
export interface DemoFiles {
  readonly folder: string;
  readonly serverConfig: string;
  readonly serverSocket: string;
  readonly serverLog: string;
  readonly agentConfig: string;
  readonly agentSocket: string;
  readonly agentLog: string;
  readonly bundle: string;
}

/** Writes the configuration of a server and an agent below `folder`. */
export async function writeConfiguration(folder: string, trustDomain: string): Promise<DemoFiles> {
  const at = (...parts: string[]): string => path.join(folder, ...parts);
  const files: DemoFiles = {
    folder,
    serverConfig: at('server.conf'),
    serverSocket: at('private', 'api.sock'),
    serverLog: at('server.log'),
    agentConfig: at('agent.conf'),
    agentSocket: at('public', 'api.sock'),
    agentLog: at('agent.log'),
    bundle: at('bundle.pem'),
  };
  const port = await freePort();
  for (const name of ['server', 'agent']) await mkdir(at(name), { mode: 0o700 });
  await writeFile(
    files.serverConfig,
    `server {
    bind_address = "127.0.0.1"
    bind_port = "${port}"
    socket_path = "${files.serverSocket}"
    trust_domain = "${trustDomain}"
    data_dir = "${at('server')}"
    log_level = "INFO"
}

plugins {
    DataStore "sql" {
        plugin_data {
            database_type = "sqlite3"
            connection_string = "${at('server', 'datastore.sqlite3')}"
        }
    }
    KeyManager "disk" {
        plugin_data {
            keys_path = "${at('server', 'keys.json')}"
        }
    }
    NodeAttestor "join_token" {
        plugin_data {}
    }
}
`,
  );
  await writeFile(
    files.agentConfig,
    `agent {
    data_dir = "${at('agent')}"
    log_level = "INFO"
    log_selectors = ["unix:uid", "unix:gid", "unix:path"]
    server_address = "127.0.0.1"
    server_port = "${port}"
    socket_path = "${files.agentSocket}"
    trust_bundle_path = "${files.bundle}"
    trust_domain = "${trustDomain}"
}

plugins {
    NodeAttestor "join_token" {
        plugin_data {}
    }
    KeyManager "disk" {
        plugin_data {
            directory = "${at('agent')}"
        }
    }
    WorkloadAttestor "unix" {
        plugin_data {
            discover_workload_path = true
            workload_size_limit = -1
        }
    }
}
`,
  );
  return files;
}

/** A port that nobody listens on; below those that a kernel hands out by itself, so that nobody gets it meanwhile. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(12_000, 32_000);
    const probe = net.createServer();
    const free = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!free) continue;
    await new Promise<void>((resolve) => probe.close(() => resolve()));
    return port;
  }
}
