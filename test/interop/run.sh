#!/usr/bin/env bash
# Runs the SPIFFE libraries of other languages against this build's server, agent and Node client.
#   run.sh [LANGUAGE]...                  the Workload API alone: identities, rotations, JWT-SVIDs, refusals
#   run.sh pairs SECONDS [LANGUAGE]...    mTLS with the Node client in both roles through fast rotation, then wrong peers
# LANGUAGE is go, python, rust or java; all of them unless named. INTEROP_PORT is the first of 50 TCP ports that are used;
# INTEROP_CACHE is a folder outside the repository where the built programs are kept from one run to the next.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=$here/../../bin
work=$(mktemp -d)
cache=${INTEROP_CACHE:-$work/built}
port=${INTEROP_PORT:-29443}
children=()

for part in processes daemons languages pairs refusals; do
  # shellcheck source=/dev/null
  source "$here/$part.sh"
done
trap finish EXIT

usage() {
  echo 'usage: run.sh [go|python|rust|java]... | run.sh pairs SECONDS [go|python|rust|java]...' >&2
  exit 2
}

pairs_seconds=
if [ "${1:-}" = pairs ]; then
  pairs_seconds=${2:-}
  [[ $pairs_seconds =~ ^[1-9][0-9]*$ ]] || usage
  shift 2
fi
languages=("$@")
[ $# -gt 0 ] || languages=(go python rust java)
for language in "${languages[@]}"; do
  [[ $language =~ ^(go|python|rust|java)$ ]] || usage
done

mkdir -p "$cache"
for language in "${languages[@]}"; do "build_$language"; done
start_daemons
if [ -n "$pairs_seconds" ]; then
  pairs
else
  for language in "${languages[@]}"; do
    (workload "$language" refused)
    register "$language"
    (workload "$language" check "$(id_of "$language")")
  done
fi
