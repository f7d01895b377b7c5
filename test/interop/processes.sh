# Starting, waiting for and ending processes. Sourced by run.sh.

finish() {
  local code=$?
  stop "${children[@]}"
  [ "$code" = 0 ] || tail -n 15 "$work"/*.log >&2 || true
  rm -rf "$work"
  exit "$code"
}

# background LOG COMMAND...: starts it with its output in this file; `started` is its process ID.
background() {
  local log=$work/$1.log
  shift
  : >"$log"
  # Appending, as the refusals are counted by emptying the file.
  "$@" >>"$log" 2>&1 &
  started=$!
  children+=("$started")
}

stop() {
  local child
  for child in "$@"; do kill "$child" 2>/dev/null || true; done
  for child in "$@"; do wait "$child" 2>/dev/null || true; done
}

# until_true SECONDS COMMAND...: runs the command again and again until it succeeds.
until_true() {
  local tries=$(($1 * 5))
  shift
  while ! "$@" >/dev/null 2>&1; do
    ((tries-- > 0)) || fail "still not true: $*"
    sleep 0.2
  done
}

fail() {
  echo "interop failed: $*" >&2
  exit 1
}

# An address nobody has used yet in this run; `address` is set.
next_address() {
  next_port=$((${next_port:-$port + 1} + 1))
  address=127.0.0.1:$next_port
}
