export const TRUST_DOMAIN = 'example.org';

/**
 * The configuration of a site's server, on SQLite and keys on disk.
 *
 * @param at a path below the site's folder
 * @param more lines for the `server` block
 */
export function serverConfig(at: (...parts: string[]) => string, port: number, more: string): string {
  return `server {
  bind_address = "127.0.0.1"
  bind_port = "${port}"
  socket_path = "${at('private', 'api.sock')}"
  trust_domain = "${TRUST_DOMAIN}"
  data_dir = "${at('server')}"
  log_level = "DEBUG"
  ${more}
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${at('server', 'datastore.sqlite3')}" } }
  KeyManager "disk" { plugin_data { keys_path = "${at('server', 'keys.json')}" } }
  NodeAttestor "join_token" { plugin_data {} }
}
`;
}

/** As `serverConfig`, for the agent of the same site. */
export function agentConfig(at: (...parts: string[]) => string, port: number, more: string): string {
  return `agent {
  data_dir = "${at('agent')}"
  log_level = "DEBUG"
  server_address = "127.0.0.1"
  server_port = ${port}
  socket_path = "${at('public', 'api.sock')}"
  trust_bundle_path = "${at('bundle.pem')}"
  trust_domain = "${TRUST_DOMAIN}"
  ${more}
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "disk" { plugin_data { directory = "${at('agent')}" } }
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true workload_size_limit = -1 } }
}
`;
}
