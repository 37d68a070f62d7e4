#!/usr/bin/env bash
# Ends the bed's processes, by their noted ids, and removes what it made. Works from any state, and twice.
set -uo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=env.sh
. "$HERE/env.sh"
if [ ! -e "$RUN" ] && [ ! -e "/run/netns/$SWITCH" ]; then
  echo "bed: nothing is up" >&2
  exit 0
fi
# Once begun it goes to its end.
trap '' INT TERM HUP

# Removes the cgroups of a node. Those of killed containers are busy until their zombies are reaped.
remove_cgroups() {
  local tries
  for tries in $(seq 100); do
    find /sys/fs/cgroup -maxdepth 2 -type d -name "$1" 2>/dev/null | while read -r root; do
      find "$root" -depth -type d -exec rmdir {} \; 2>/dev/null
    done
    [ -z "$(find /sys/fs/cgroup -maxdepth 2 -type d -name "$1" 2>/dev/null)" ] && return
    sleep 0.1
  done
  echo "bed: cgroups named $1 are still busy after $((tries / 10)) s" >&2
}

end watch
for i in $(seq 9); do
  end "node$i"
  ns=$(node_ns "$i")
  [ -e "/run/netns/$ns" ] || continue
  for _ in $(seq 500); do
    [ -z "$(ip netns pids "$ns" 2>/dev/null)" ] && break
    sleep 0.02
  done
  ip netns del "$ns"
  remove_cgroups "$ns"
done
for name in coredns kube-scheduler kube-controller-manager kube-apiserver etcd; do end "$name"; done
[ -e "/run/netns/$SWITCH" ] && ip netns del "$SWITCH"
if [ -e "$RUN/sysctl.saved" ]; then
  sed 's/ = /=/' "$RUN/sysctl.saved" | while read -r setting; do sysctl -qw "$setting"; done
fi
# The folder goes with the last bed on it.
rm -f "$HOST_PATH/.$SWITCH"
rmdir --ignore-fail-on-non-empty "$HOST_PATH" 2>/dev/null
# Mounts lie in the namespaces of processes that are gone; a mount that is left must not be emptied.
rm -rf --one-file-system "$RUN"
mounts=$(grep -c " $RUN/" /proc/mounts)
echo "bed: down$([ "$mounts" -eq 0 ] || echo "; $mounts mounts are left under $RUN")" >&2
