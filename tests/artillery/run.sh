#!/bin/bash
# The guide's Artillery scenario against berth-proxy and three berth-backend processes on a real Redis and MongoDB.
# A listener on each backend counts: 0 failed sessions, every message at every listener exactly once.
#
#   tests/artillery/run.sh [--short] [--debug]     --short: 10 s and 15 s instead of 60 s and 120 s; --debug: dev builds
#
# Needs Node 18+, redis-server, and what tests/services.sh finds for MongoDB. Takes about 4 minutes; not part of ci.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."

ARTILLERY=artillery@2.0.21   # the last releases need newer Node than Debian has
TOOLS=${XDG_CACHE_HOME:-$HOME/.cache}/berth-tests/artillery
WORK=$(mktemp -d)
PIDS=()
PROFILE=release
SHORT=
export ARTILLERY_DISABLE_TELEMETRY=true PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1

for word in "$@"; do
  case "$word" in
    --short) SHORT=1 ;;
    --debug) PROFILE=debug ;;
    *) sed -n '2,7p' "$0"; exit 2 ;;
  esac
done

finish() {
  local code=$? index
  for ((index = ${#PIDS[@]} - 1; index >= 0; index--)); do kill "${PIDS[index]}" 2>/dev/null || true; done
  for index in "${PIDS[@]}"; do wait "$index" 2>/dev/null || true; done
  if [ "$code" != 0 ]; then tail -n 30 "$WORK"/*.log; fi
  rm -rf "$WORK"
  exit "$code"
}
trap finish EXIT

free_port() {
  local port
  while :; do
    port=$((10000 + RANDOM % 22000))
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

# run NAME COMMAND…: in the background, its log in $WORK.
run() {
  local name=$1
  shift
  "$@" >"$WORK/$name.log" 2>&1 &
  PIDS+=($!)
}

listens() {
  local end=$((SECONDS + 60))
  until (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
    [ $SECONDS -lt $end ] || { echo "nobody listens on port $1"; exit 1; }
    sleep 0.1
  done
}

ready() {
  local end=$((SECONDS + 60))
  until curl -fsS -o "$WORK/ready" "$1" 2>/dev/null; do
    [ $SECONDS -lt $end ] || { echo "$1 is not ready"; exit 1; }
    sleep 0.1
  done
}

if [ "$PROFILE" = release ]; then cargo build --release -p berth-proxy -p berth-backend; else cargo build -p berth-proxy -p berth-backend; fi
[ -d tests/js/node_modules/socket.io-client ] || (cd tests/js && npm ci --no-audit --no-fund)
if [ ! -x "$TOOLS/node_modules/.bin/artillery" ]; then
  mkdir -p "$TOOLS"
  npm install --prefix "$TOOLS" "$ARTILLERY" --ignore-scripts --no-audit --no-fund --loglevel=error
fi

REDIS=$(free_port) MONGO=$(free_port) PROXY=$(free_port) ADMIN=$(free_port)
mkdir "$WORK/redis" "$WORK/mongo"
run redis tests/services.sh redis "$REDIS" "$WORK/redis"
run mongo tests/services.sh mongo "$MONGO" "$WORK/mongo"
listens "$REDIS"
listens "$MONGO"

SERVERS= URLS=()
for number in 1 2 3; do
  port=$(free_port)
  run "backend-$number" env HOST=127.0.0.1 PORT="$port" BERTH_INSTANCE="backend-$number" REDIS_URL="redis://127.0.0.1:$REDIS" \
    MONGO_URI="mongodb://127.0.0.1:$MONGO/berth" SESSION_SECRET="a secret for tests" LOG_LEVEL=warn "target/$PROFILE/berth-backend" run
  ready "http://127.0.0.1:$port/health/readiness"
  SERVERS+="\"127.0.0.1:$port\", " URLS+=("http://127.0.0.1:$port")
done

# One address sends everything here, so that ip_hash would send everything to one server.
cat >"$WORK/proxy.toml" <<TOML
[server]
listen = ["127.0.0.1:$PROXY"]
[admin]
listen = "127.0.0.1:$ADMIN"
[upstream.app_backend]
balance = "least_conn"
servers = [$SERVERS]
TOML
run proxy "target/$PROFILE/berth-proxy" run -c "$WORK/proxy.toml"
ready "http://127.0.0.1:$ADMIN/health/readiness"

node tests/js/listener.mjs "${URLS[@]}" >"$WORK/listener.log" 2>&1 &
LISTENER=$!
until grep -q listening "$WORK/listener.log"; do kill -0 "$LISTENER"; sleep 0.1; done

sed "s|http://localhost|http://127.0.0.1:$PROXY|" tests/artillery/guide.yml >"$WORK/guide.yml"
if [ -n "$SHORT" ]; then sed -i 's/duration: 60/duration: 10/; s/duration: 120/duration: 15/' "$WORK/guide.yml"; fi
"$TOOLS/node_modules/.bin/artillery" run --output "$WORK/report.json" "$WORK/guide.yml" | tail -n 40

kill -TERM "$LISTENER"
DELIVERED=0
wait "$LISTENER" || DELIVERED=$?
cat "$WORK/listener.log"

python3 - "$WORK/report.json" "$DELIVERED" <<'PYTHON'
import json, sys
counters = json.load(open(sys.argv[1]))["aggregate"]["counters"]
created, completed, failed = (counters.get("vusers." + word, 0) for word in ("created", "completed", "failed"))
print(f"sessions: created {created}, completed {completed}, failed {failed}; emits {counters.get('socketio.emit', 0)}")
good = created > 0 and completed == created and failed == 0 and sys.argv[2] == "0"
print("OK" if good else "FAILED")
sys.exit(0 if good else 1)
PYTHON
