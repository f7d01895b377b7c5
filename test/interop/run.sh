#!/usr/bin/env bash
# Runs client libraries of other languages against this build's server and agent. Usage: run.sh [go|python]...
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=$here/../../bin
work=$(mktemp -d)
port=${INTEROP_PORT:-29443}
children=()

finish() {
  local code=$?
  for child in ${children[@]+"${children[@]}"}; do kill "$child" 2>/dev/null || true; done
  wait
  [ "$code" = 0 ] || tail -n 20 "$work"/*.log >&2 || true
  rm -rf "$work"
  exit "$code"
}
trap finish EXIT

# until_true SECONDS COMMAND...: runs the command again and again until it succeeds.
until_true() {
  local tries=$(($1 * 5))
  shift
  while ! "$@" >/dev/null 2>&1; do
    ((tries-- > 0)) || { echo "interop failed: still not true: $*" >&2; return 1; }
    sleep 0.2
  done
}

server() { node "$bin/spire-server" "$@" -socketPath "$work/server.sock"; }
agent() { node "$bin/spire-agent" "$@" -socketPath "$work/public/agent.sock"; }

# register PATH EXECUTABLE: an identity for every process that runs this executable.
register() {
  server entry create -parentID spiffe://example.org/interop -spiffeID "spiffe://example.org$1" \
    -selector "unix:path:$2" -x509SVIDTTL 20 -jwtSVIDTTL 20 >/dev/null
}

start() {
  cat >"$work/server.conf" <<CONF
server {
  trust_domain = "example.org"
  bind_address = "127.0.0.1"
  bind_port = "$port"
  socket_path = "$work/server.sock"
  data_dir = "$work"
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "$work/datastore.sqlite3" } }
  KeyManager "memory" { plugin_data {} }
  NodeAttestor "join_token" { plugin_data {} }
}
CONF
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
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }
}
CONF
  node "$bin/spire-server" run -config "$work/server.conf" >"$work/server.log" 2>&1 &
  children+=($!)
  until_true 20 server healthcheck
  server bundle show >"$work/bundle.pem"
  token=$(server token generate -spiffeID spiffe://example.org/interop | sed -n 's/^Token: //p')
  node "$bin/spire-agent" run -config "$work/agent.conf" -joinToken "$token" >"$work/agent.log" 2>&1 &
  children+=($!)
  until_true 20 agent healthcheck
  export SPIFFE_ENDPOINT_SOCKET=unix://$work/public/agent.sock
}

run_go() {
  local address=127.0.0.1:$((port + 1)) server_pid
  (cd "$here/go" && go build -o "$work/go-server" .)
  cp "$work/go-server" "$work/go-caller"
  register /go/server "$work/go-server"
  register /go/caller "$work/go-caller"
  "$work/go-server" serve "$address" >"$work/go-server.log" 2>&1 &
  server_pid=$!
  children+=("$server_pid")
  until_true 30 grep -q serving "$work/go-server.log"
  "$work/go-caller" call "$address"
}

run_python() {
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/python/requirements.txt"
  local python=$work/venv/bin/python
  "$python" "$here/python/client.py" refused
  register /python "$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')"
  until_true 30 "$python" -c 'from spiffe import WorkloadApiClient; WorkloadApiClient().fetch_x509_svid(timeout=5)'
  "$python" "$here/python/client.py"
}

languages=("$@")
[ $# -gt 0 ] || languages=(go python)
start
for language in "${languages[@]}"; do
  case $language in
    go | python) "run_$language" ;;
    *) echo "usage: run.sh [go|python]..." >&2; exit 2 ;;
  esac
done
