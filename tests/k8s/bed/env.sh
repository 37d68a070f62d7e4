# shellcheck shell=bash
# Names, versions and small functions; sourced by every script of the bed.

# Versions of what is built. Debian's packages give the rest: containerd, runc, etcd.
KUBERNETES_VERSION=1.34.4
HELM_VERSION=3.19.5
CNI_VERSION=1.9.1
COREDNS_VERSION=1.12.4

# What is built, kept from run to run.
CACHE=${HOLDFAST_K8S_DIR:-$HOME/.cache/holdfast/k8s}
BIN=$CACHE/bin
# The network namespace of the control plane, which is also the switch between the nodes.
SWITCH=holdfast-k8s${HOLDFAST_K8S_BED:+-$HOLDFAST_K8S_BED}
# What runs, removed by `down`; the logs stay until the next `up`.
RUN=${TMPDIR:-/tmp}/$SWITCH-run
LOGS=${TMPDIR:-/tmp}/$SWITCH-logs
CONTROL_IP=10.250.0.100
SERVICE_CIDR=10.96.0.0/16
SERVICE_IP=10.96.0.1
# The fixed path of the controller-manager's host-path provisioner. Inside the bed it is a mount of $RUN/volumes.
HOST_PATH=/tmp/hostpath_pv
# The user whose pods write to volumes: host-path volumes ignore fsGroup, so their folders must be its own.
VOLUME_USER=65532

export KUBECONFIG=$RUN/admin.kubeconfig
export PATH=$BIN/hyper:$BIN:/usr/sbin:/sbin:$PATH

node_ns() { echo "$SWITCH-$1"; }
node_dir() { echo "$RUN/node$1"; }
node_ip() { echo "10.250.0.$1"; }
all_nodes() { seq "$(cat "$RUN/node-count")"; }
running_nodes() {
  local i
  for i in $(all_nodes); do
    if is_running "node$i"; then echo "$i"; fi
  done
}

fail() {
  echo "bed: $*" >&2
  exit 1
}

# `ip netns exec` would remount /sys and so hide the cgroups.
on_switch() { nsenter --net="/run/netns/$SWITCH" "$@"; }

# When a process started, in clock ticks since boot; with its id it names the process for good. Empty once it is gone,
# and for a zombie as well: its parent may take time to reap it.
started_at() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  stat=${stat##*) }
  case $stat in Z* | X*) return 0 ;; esac
  # shellcheck disable=SC2086 # split into fields: 3 is the state, 22 the start
  set -- $stat
  echo "${20}"
}

# Notes the process $2 under the name $1.
note_pid() { echo "$2 $(started_at "$2")" >"$RUN/pids/$1"; }

is_running() {
  local pid start
  [ -e "$RUN/pids/$1" ] || return 1
  read -r pid start <"$RUN/pids/$1" || return 1
  [ -n "$start" ] && [ "$(started_at "$pid")" = "$start" ]
}

# Ends the process noted under this name, and waits until it is gone.
end() {
  local pid
  if is_running "$1"; then
    read -r pid _ <"$RUN/pids/$1"
    kill -KILL "$pid" 2>/dev/null || true
    while is_running "$1"; do sleep 0.02; done
  fi
  rm -f "$RUN/pids/$1"
}

# Waits at most $1 seconds for $2: until the command that follows succeeds.
wait_for() {
  local tries=$(($1 * 10)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || fail "waited in vain for $what; logs are in $LOGS"
    sleep 0.1
  done
}
