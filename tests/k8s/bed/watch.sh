#!/usr/bin/env bash
# Takes the bed down once the process $1 is gone.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=env.sh
. "$HERE/env.sh"
owner=$(started_at "$1")
while [ -n "$owner" ] && [ "$(started_at "$1")" = "$owner" ]; do sleep 1; done
# `down` ends what is noted; not this script, which is its parent.
rm -f "$RUN/pids/watch"
exec "$HERE/down.sh"
