# mTLS between Node and each language, in both roles, while certificates rotate. Sourced by run.sh.

interval_ms=150

pairs() {
  build_node
  for language in node "${languages[@]}"; do register "$language"; done
  for language in "${languages[@]}"; do
    start_workload "$language-serves-node" "$language" "$(id_of node)"
    start_workload "node-serves-$language" node "$(id_of "$language")"
  done
  load
  for language in "${languages[@]}"; do sum_up "$language"; done
  echo "the authority that signs X509-SVIDs changed $(($(grep -c 'X509 CA activated' "$work/server.log") - 1)) times meanwhile"
  wrong_peers
}

declare -A address_of

# start_workload NAME LANGUAGE ALLOWED_ID: a server; `address_of` tells where it listens.
start_workload() {
  next_address
  address_of[$1]=$address
  background "$1" workload "$2" serve "$address" "$3"
  until_true 30 grep -q '^serving' "$work/$1.log"
}

load() {
  local calls=$((pairs_seconds * 1000 / interval_ms)) callers=()
  for language in "${languages[@]}"; do
    background "$language-calls-node" workload "$language" call "${address_of[node-serves-$language]}" "$(id_of node)" \
      $calls $interval_ms
    callers+=("$started")
    background "node-calls-$language" workload node call "${address_of[$language-serves-node]}" "$(id_of "$language")" \
      $calls $interval_ms
    callers+=("$started")
  done
  # The exit codes say the same as the last lines of the logs, which are read below.
  wait "${callers[@]}" || true
}

# number NAME WORD: what the last line of a caller's log says after WORD=.
number() { sed -n "\$s/.*\b$2=\([0-9]*\).*/\1/p" "$work/$1.log"; }

sum_up() {
  local handshakes=0 rotations=0 caller server turns least=$((pairs_seconds / lifetime))
  for caller in "$1-calls-node" "node-calls-$1"; do
    [ "$(number "$caller" failed)" = 0 ] || fail "$caller: $(grep -m 3 '^failed' "$work/$caller.log" || tail -n 1 "$work/$caller.log")"
    handshakes=$((handshakes + $(number "$caller" calls)))
    turns=$(number "$caller" rotations)
    [ "$turns" -ge $least ] || fail "$caller: only $turns rotations in $pairs_seconds s"
    [ "$(number "$caller" peer_certificates)" -gt $least ] || fail "$caller: the certificate of the server did not rotate"
    rotations=$((rotations + turns))
  done
  for server in "$1-serves-node" "node-serves-$1"; do
    ! grep -q '^refused' "$work/$server.log" || fail "$server: $(grep -m 3 '^refused' "$work/$server.log")"
    turns=$(grep -c '^rotated' "$work/$server.log" || true)
    [ "$turns" -ge $least ] || fail "$server: only $turns rotations in $pairs_seconds s"
    rotations=$((rotations + turns))
  done
  echo "interop pairs ok: $1 and node in both roles for $pairs_seconds s: $handshakes handshakes, 0 failed, $rotations rotations"
}
