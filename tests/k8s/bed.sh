#!/usr/bin/env bash
# A Kubernetes of several nodes on this machine, for the tests of the chart. Run as root.
#
#   bed.sh build [NAME...]     builds what is missing: Kubernetes, helm, CNI plugins, CoreDNS, from Go modules
#   bed.sh up [N]              starts a control plane and N nodes (3)
#   bed.sh down                ends and removes all of it; safe at any time
#   bed.sh off I | on I        takes node I's power, gives it back
#   bed.sh unplug I | plug I   pulls node I's network cable, puts it in again
#   bed.sh load IMAGE.tar      imports an image on every node
#   bed.sh tag OLD NEW         gives an image a second name on every node
#   bed.sh kubectl ... | helm ...
#   bed.sh ctr I ...           containerd's client on node I
#   bed.sh inside I CMD ...    runs a program of this machine in node I's network, with the cluster's DNS
#                              (HOSTS_FILE=path: with these names instead)
#   bed.sh outside CMD ...     runs a program of this machine beside the cluster, where its names are not known
#   bed.sh where               prints the folders in use
#
# Settings (environment): HOLDFAST_K8S_DIR  what is built, kept [~/.cache/holdfast/k8s]
#                         HOLDFAST_K8S_OWNER  a process id: the bed goes down when that process ends
#                         HOLDFAST_K8S_BED  a name, for a second bed beside the first
#                         TMPDIR  where the bed runs, removed by `down` [/tmp]
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=bed/env.sh
. "$HERE/bed/env.sh"

needs_bed() {
  [ -e "$RUN/node-count" ] || fail "no bed is up; start one with: tests/k8s/bed.sh up"
}

command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
build) exec "$HERE/bed/build.sh" "$@" ;;
up) exec "$HERE/bed/up.sh" "$@" ;;
down) exec "$HERE/bed/down.sh" ;;
on | off | unplug | plug | init) exec "$HERE/bed/node.sh" "$command" "$@" ;;
load)
  needs_bed
  for i in $(running_nodes); do
    ctr -a "$(node_dir "$i")/containerd.sock" -n k8s.io images import "$1" >/dev/null
  done
  ;;
tag)
  needs_bed
  for i in $(running_nodes); do
    ctr -a "$(node_dir "$i")/containerd.sock" -n k8s.io images tag --force "$1" "$2" >/dev/null
  done
  ;;
kubectl | helm)
  needs_bed
  exec nsenter --net="/run/netns/$SWITCH" "$command" "$@"
  ;;
ctr)
  needs_bed
  node=$1
  shift
  exec ctr -a "$(node_dir "$node")/containerd.sock" -n k8s.io "$@"
  ;;
inside)
  needs_bed
  node=$1
  shift
  names=${HOSTS_FILE:-/etc/hosts}
  # shellcheck disable=SC2016 # expanded by the inner shell
  exec nsenter --net="/run/netns/$(node_ns "$node")" unshare --mount --propagation private \
    bash -c 'mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/hosts && shift 2 && exec "$@"' \
    inside "$RUN/resolv.conf" "$names" "$@"
  ;;
outside)
  needs_bed
  exec nsenter --net="/run/netns/$SWITCH" "$@"
  ;;
where) printf 'built %s\nruns  %s\nlogs  %s\n' "$CACHE" "$RUN" "$LOGS" ;;
*) sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" ;;
esac
