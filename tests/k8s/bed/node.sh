#!/usr/bin/env bash
# One node: node.sh on|off|plug|unplug I.
#
# A node is a network, mount, host name and process namespace with its own containerd, kubelet and kube-proxy. Power off
# is SIGKILL of its first process, which takes all others of the node with it. Its disk ($RUN/nodeI) stays.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=env.sh
. "$HERE/env.sh"
I=${2:?which node?}
NS=$(node_ns "$I")
DIR=$(node_dir "$I")
[ -e "$RUN/node-count" ] || fail "no bed is up"
{ [[ $I =~ ^[1-9]$ ]] && [ "$I" -le "$(cat "$RUN/node-count")" ]; } || fail "there is no node $I"

in_node() { nsenter --net="/run/netns/$NS" "$@"; }

cable() {
  local other
  ip netns add "$NS"
  in_node ip link add eth0 type veth peer name "port$I" netns "$SWITCH"
  on_switch ip link set "port$I" master fabric up
  in_node ip link set lo up
  in_node ip addr add "$(node_ip "$I")/24" dev eth0
  in_node ip link set eth0 up
  in_node ip route add default via "$CONTROL_IP"
  in_node ip link add cni0 type bridge
  in_node ip addr add "10.244.$I.1/24" dev cni0
  in_node ip link set cni0 up
  for other in $(all_nodes); do
    [ "$other" = "$I" ] || in_node ip route add "10.244.$other.0/24" via "$(node_ip "$other")"
  done
  in_node sysctl -qw net.ipv4.ip_forward=1
}

# The kubelet wants its root cgroup to exist.
cgroups() {
  local hierarchy
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p "/sys/fs/cgroup/$NS"
    return
  fi
  for hierarchy in /sys/fs/cgroup/*/; do mkdir -p "$hierarchy$NS"; done
  for hierarchy in cpus mems; do
    cat "/sys/fs/cgroup/cpuset/cpuset.$hierarchy" >"/sys/fs/cgroup/cpuset/$NS/cpuset.$hierarchy"
  done
}

settings() {
  mkdir -p "$DIR"/{containerd,kubelet,pods,cni,changed-lib,changed-log,work-lib,work-log}
  # No negative oom_score_adj: a root without CAP_SYS_RESOURCE cannot set one.
  cat >"$DIR/containerd.toml" <<CONFIG
version = 2
root = "$DIR/containerd"
state = "/run/containerd-state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "$DIR/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/bed/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$BIN/cni"
    conf_dir = "$DIR/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.internal.v1.opt"]
  path = "$DIR/opt"
CONFIG
  cat >"$DIR/cni/10-pods.conflist" <<CONFIG
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipMasq": false,
   "ipam": {"type": "host-local", "dataDir": "$DIR/addresses", "routes": [{"dst": "0.0.0.0/0"}],
            "ranges": [[{"subnet": "10.244.$I.0/24", "rangeStart": "10.244.$I.10"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
CONFIG
  cat >"$DIR/kubelet.yaml" <<CONFIG
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $(node_ip "$I")
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $RUN/pki/ca.crt}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix://$DIR/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$NS
failCgroupV1: false
failSwapOn: false
maxOpenFiles: 20000
clusterDNS: [$CONTROL_IP]
clusterDomain: cluster.local
resolvConf: ""
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 200Mi, imagefs.available: 200Mi}
nodeStatusUpdateFrequency: 2s
nodeLeaseDurationSeconds: 8
podLogsDir: $DIR/pods
volumePluginDir: $DIR/volume-plugins
readOnlyPort: 0
CONFIG
  cat >"$DIR/proxy.yaml" <<CONFIG
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: node$I
clusterCIDR: 10.244.0.0/16
metricsBindAddress: 127.0.0.1:10249
clientConnection: {kubeconfig: $RUN/proxy.kubeconfig}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
CONFIG
}

on() {
  is_running "node$I" && return
  [ -e "/run/netns/$NS" ] || cable
  cgroups
  settings
  setsid nsenter --net="/run/netns/$NS" unshare --mount --propagation private --uts --pid --fork --kill-child=KILL \
    --mount-proc "$HERE/node.sh" init "$I" >"$LOGS/node$I.log" 2>&1 3>&- </dev/null &
  note_pid "node$I" $!
}

# The node's first process. Its mounts are its own, so what it changes below /var is not the machine's.
init() {
  hostname "node$I"
  mount --make-rshared /
  mount -t overlay overlay -o "lowerdir=/var/lib,upperdir=$DIR/changed-lib,workdir=$DIR/work-lib" /var/lib
  mount -t overlay overlay -o "lowerdir=/var/log,upperdir=$DIR/changed-log,workdir=$DIR/work-log" /var/log
  mount -t tmpfs tmpfs /run
  mkdir -p /run/netns
  mount --bind "$RUN/volumes" "$HOST_PATH"
  set +e
  containerd --config "$DIR/containerd.toml" >>"$LOGS/node$I-containerd.log" 2>&1 &
  until ctr -a "$DIR/containerd.sock" version >/dev/null 2>&1; do sleep 0.1; done
  if [ ! -e "$DIR/imported" ]; then
    ctr -a "$DIR/containerd.sock" -n k8s.io images import "$BIN/pause.tar" && touch "$DIR/imported"
  fi
  kubelet --config="$DIR/kubelet.yaml" --kubeconfig="$RUN/kubelet$I.kubeconfig" --hostname-override="node$I" \
    --node-ip="$(node_ip "$I")" --root-dir="$DIR/kubelet" --cert-dir="$DIR/kubelet/pki" \
    >>"$LOGS/node$I-kubelet.log" 2>&1 &
  kube-proxy --config="$DIR/proxy.yaml" >>"$LOGS/node$I-proxy.log" 2>&1 &
  # Reaps what is orphaned in the node, until the power goes.
  while :; do
    wait
    sleep 1
  done
}

off() {
  end "node$I"
  while [ -n "$(ip netns pids "$NS")" ]; do sleep 0.02; done
  # Tables of packet filters go with the power; addresses and cable stay.
  in_node nft flush ruleset 2>/dev/null || true
}

case $1 in
on | off | init) "$1" ;;
unplug) on_switch ip link set "port$I" down ;;
plug) on_switch ip link set "port$I" up ;;
*) fail "node.sh $1: there is no such command" ;;
esac
