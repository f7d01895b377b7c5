/** Where everything of a launched server and agent is; paths are absolute and short enough for sockets (107 bytes). */
export interface Places {
  readonly serverConf: string;
  readonly agentConf: string;
  readonly serverData: string;
  readonly agentData: string;
  readonly database: string;
  readonly adminSocket: string;
  readonly workloadSocket: string;
  readonly serverLog: string;
  readonly agentLog: string;
  /** TCP port of the agent-facing API on 127.0.0.1. */
  readonly port: number;
}

/** Further lines for the blocks of the configuration files. */
export interface ConfigLines {
  readonly server?: string;
  readonly agent?: string;
}

/** The trust domain of every server that the bench starts. */
export const BENCH_TRUST_DOMAIN = 'bench.example';

/**
 * The configuration of a server, of which both products understand every line. Only the rate limits differ from the
 * defaults: they are there to keep load away, and load is what is measured.
 */
export function serverConfig(at: Places, more: ConfigLines = {}): string {
  return `server {
  bind_address = "127.0.0.1"
  bind_port = "${at.port}"
  socket_path = "${at.adminSocket}"
  trust_domain = "${BENCH_TRUST_DOMAIN}"
  data_dir = "${at.serverData}"
  log_level = "INFO"
  ratelimit {
    attestation = false
    signing = false
  }
  ${more.server ?? ''}
}
plugins {
  DataStore "sql" {
    plugin_data {
      database_type = "sqlite3"
      connection_string = "${at.database}"
    }
  }
  KeyManager "disk" {
    plugin_data {
      keys_path = "${at.serverData}/keys.json"
    }
  }
  NodeAttestor "join_token" {
    plugin_data {}
  }
}
`;
}

/** The configuration of an agent, of which both products understand every line; all defaults but for the attestors. */
export function agentConfig(at: Places, more: ConfigLines = {}): string {
  return `agent {
  data_dir = "${at.agentData}"
  log_level = "INFO"
  server_address = "127.0.0.1"
  server_port = ${at.port}
  socket_path = "${at.workloadSocket}"
  insecure_bootstrap = true
  trust_domain = "${BENCH_TRUST_DOMAIN}"
  ${more.agent ?? ''}
}
plugins {
  NodeAttestor "join_token" {
    plugin_data {}
  }
  KeyManager "disk" {
    plugin_data {
      directory = "${at.agentData}"
    }
  }
  WorkloadAttestor "unix" {
    plugin_data {}
  }
}
`;
}
