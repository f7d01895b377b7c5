# The server and the agent of this repository. Sourced by run.sh.

server() { node "$bin/spire-server" "$@" -socketPath "$work/server.sock"; }
agent() { node "$bin/spire-agent" "$@" -socketPath "$work/public/agent.sock"; }

# X509-SVIDs live for 20 s, so they change every 10 s; in some minutes the authority that signs them changes as well.
lifetime=20

# start_server NAME TRUST_DOMAIN PORT
start_server() {
  local name=$1
  mkdir "$work/$name"
  cat >"$work/$name.conf" <<CONF
server {
  trust_domain = "$2"
  bind_address = "127.0.0.1"
  bind_port = "$3"
  socket_path = "$work/$name.sock"
  data_dir = "$work/$name"
  ca_ttl = "3m"
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "$work/$name/datastore.sqlite3" } }
  KeyManager "memory" { plugin_data {} }
  NodeAttestor "join_token" { plugin_data {} }
}
CONF
  background "$name" node "$bin/spire-server" run -config "$work/$name.conf"
  until_true 20 node "$bin/spire-server" healthcheck -socketPath "$work/$name.sock"
}

start_daemons() {
  start_server server example.org "$port"
  server bundle show >"$work/bundle.pem"
  cat >"$work/agent.conf" <<CONF
agent {
  trust_domain = "example.org"
  server_address = "127.0.0.1"
  server_port = "$port"
  socket_path = "$work/public/agent.sock"
  data_dir = "$work"
  trust_bundle_path = "$work/bundle.pem"
}
plugins {
  KeyManager "memory" { plugin_data {} }
  NodeAttestor "join_token" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true workload_size_limit = -1 } }
}
CONF
  token=$(server token generate -spiffeID spiffe://example.org/interop | sed -n 's/^Token: //p')
  background agent node "$bin/spire-agent" run -config "$work/agent.conf" -joinToken "$token"
  until_true 20 agent healthcheck
  export SPIFFE_ENDPOINT_SOCKET=unix://$work/public/agent.sock
}

id_of() { echo "spiffe://example.org/$1"; }

# register LANGUAGE: an identity for every process that runs the program of this language.
register() {
  server entry create -parentID spiffe://example.org/interop -spiffeID "$(id_of "$1")" \
    -selector "unix:path:$(program_of "$1")" -x509SVIDTTL $lifetime -jwtSVIDTTL $lifetime >/dev/null
  until_true 30 has_identity "$1"
}

has_identity() { ! (workload "$1" refused); }
