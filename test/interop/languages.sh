# How the programs are built and started. Sourced by run.sh.

build_go() { (cd "$here/go" && go build -o "$cache/go-workload" .); }

build_rust() {
  CARGO_TARGET_DIR=$cache/rust cargo build --quiet --release --locked --manifest-path "$here/rust/Cargo.toml"
}

build_java() {
  mvn --batch-mode --file "$here/java/pom.xml" -Dout="$cache/java" -DincludeScope=runtime \
    -DoutputDirectory="$cache/java/lib" compile dependency:copy-dependencies >"$work/java-build.log" 2>&1
}

build_python() {
  [ -x "$cache/venv/bin/python" ] || python3 -m venv --copies "$cache/venv"
  "$cache/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/python/requirements.txt"
}

# The server and the agent run in Node as well; the workload is to be told from them by the path of its program.
build_node() { cp "$(node -p process.execPath)" "$cache/node-workload"; }

# program_of LANGUAGE: the file that a process of this language runs, as the kernel sees it.
program_of() {
  case $1 in
    go) realpath "$cache/go-workload" ;;
    rust) realpath "$cache/rust/release/finial-interop" ;;
    python) realpath "$("$cache/venv/bin/python" -c 'import sys; print(sys.executable)')" ;;
    java) realpath "$(command -v java)" ;;
    node) realpath "$cache/node-workload" ;;
  esac
}

# workload LANGUAGE JOB...: becomes that program, so it has to be called in a shell of its own.
workload() {
  local language=$1
  shift
  case $language in
    go) exec "$cache/go-workload" "$@" ;;
    rust) exec "$cache/rust/release/finial-interop" "$@" ;;
    python) PYTHONDONTWRITEBYTECODE=1 exec "$cache/venv/bin/python" "$here/python/workload.py" "$@" ;;
    java) exec java -Xmx128m -XX:+UseSerialGC -cp "$cache/java/classes:$cache/java/lib/*" interop.Main "$@" ;;
    node) exec "$cache/node-workload" "$here/node/workload.mjs" "$@" ;;
  esac
}
