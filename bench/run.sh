#!/bin/bash
# Measures Berth beside nginx, HAProxy and Envoy, as far as they are installed, and prints one table. See bench/README.md.
#
#   bench/run.sh                               everything, at least 5 rounds: under 15 minutes on 2 cores, after the build
#   bench/run.sh --quick                       under 2 minutes: shows that it works and roughly where things are
#   bench/run.sh --only ROW …                  bench/run.sh --help lists the rows
#   bench/run.sh --profile                     where the CPU goes: system calls, the kernel's share, functions
#   bench/run.sh --json FILE --svg FILE        the same as data, and as the chart of the README
#
# Debian: apt-get install nginx-light haproxy openssl. Leave the machine alone meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --locked -p berth-proxy -p berth-bench
exec "${CARGO_TARGET_DIR:-target}/release/berth-compare" "$@"
