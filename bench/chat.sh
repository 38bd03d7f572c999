#!/bin/bash
# Measures berth-backend beside a Node server that does the same, and prints one table. See bench/README.md.
#
#   bench/chat.sh                              everything, 5 rounds: about 15 minutes on 2 cores, after the build
#   bench/chat.sh --quick                      shows that it works and roughly where things are
#   bench/chat.sh --only ROW …                 bench/chat.sh --help lists the rows
#   bench/chat.sh --profile                    where the CPU goes: system calls, the kernel's share, functions
#   bench/chat.sh --json FILE --svg FILE       the same as data, and as a chart
#
# Needs node (18 or later) with npm, and redis-server; MongoDB is found by tests/services.sh. Leave the machine alone meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --locked -p berth-backend -p berth-bench
if command -v npm >/dev/null; then
  # Installed is what the lock file says, to the byte.
  cmp -s bench/node/package-lock.json bench/node/node_modules/.installed ||
    { npm ci --prefix bench/node --no-audit --no-fund >&2 && cp bench/node/package-lock.json bench/node/node_modules/.installed; }
fi
exec "${CARGO_TARGET_DIR:-target}/release/berth-compare-chat" "$@"
