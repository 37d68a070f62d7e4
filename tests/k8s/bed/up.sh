#!/usr/bin/env bash
# Starts the control plane and N nodes: up.sh [N=3]. What fails or is interrupted is taken down again.
#
# The control plane (etcd, API server, controller-manager, scheduler, DNS) are processes of this machine in a network
# namespace of their own, which is the switch between the nodes as well. DNS runs there and not in pods, so that a node
# that fails takes no name server with it.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=env.sh
. "$HERE/env.sh"
COUNT=${1:-3}

[ "$(id -u)" -eq 0 ] || fail "network and mount namespaces need root"
[[ $COUNT =~ ^[1-9]$ ]] || fail "1 to 9 nodes, not '$COUNT'"
for program in containerd runc etcd nft ip openssl curl setpriv; do
  command -v "$program" >/dev/null || fail "$program is missing: install containerd runc etcd-server nftables iptables iproute2 openssl curl"
done
[ -x "$BIN/hyper/kubelet" ] && [ -x "$BIN/coredns" ] || fail "nothing is built yet; run: tests/k8s/bed.sh build"
if [ -e "$RUN" ] || [ -e "/run/netns/$SWITCH" ]; then
  fail "another bed is up (or was left behind) in $RUN; end it with: tests/k8s/bed.sh down"
fi

START=$SECONDS
say() { echo "bed: $* ($((SECONDS - START)) s)" >&2; }
# A signal may come while output is thrown away. What is left running must not hold it: it may be a pipe.
exec 3>&2
undo() {
  local code=$?
  exec 2>&3
  trap - EXIT INT TERM HUP
  [ "$code" -eq 0 ] && return
  echo "bed: not up; taking it down again" >&2
  "$HERE/down.sh"
  exit "$code"
}
trap undo EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Starts a program in the control plane's network, and notes its process.
start() {
  local name=$1
  shift
  setsid nsenter --net="/run/netns/$SWITCH" "$@" >"$LOGS/$name.log" 2>&1 3>&- </dev/null &
  note_pid "$name" $!
}

# What is machine-wide: the kubelet sets these, `down` puts them back.
save_machine() {
  sysctl vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys \
    kernel.keys.root_maxbytes >"$RUN/sysctl.saved"
  # A file for each bed: removing the folder takes the mounts on it away, in every namespace.
  mkdir -p "$HOST_PATH"
  touch "$HOST_PATH/.$SWITCH"
}

network() {
  local i
  ip netns add "$SWITCH"
  on_switch ip link set lo up
  on_switch ip link add fabric type bridge
  on_switch ip addr add "$CONTROL_IP/24" dev fabric
  on_switch ip link set fabric up
  for i in $(all_nodes); do on_switch ip route add "10.244.$i.0/24" via "$(node_ip "$i")"; done
  printf 'nameserver %s\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n' \
    "$CONTROL_IP" >"$RUN/resolv.conf"
}

# $1: file and subject's name, $2: subject, $3: extensions.
certificate() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -subj "$2" -out "$1.csr" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -out "$1.crt" \
    -extfile <(printf '%b' "$3") 2>/dev/null
}

# $1: file, $2: user, $3: group.
user() {
  local token
  token=$(openssl rand -hex 16)
  echo "$token,$2,$2${3:+,\"$3\"}" >>"$RUN/pki/tokens.csv"
  cat >"$RUN/$1.kubeconfig" <<CONFIG
apiVersion: v1
kind: Config
clusters: [{name: bed, cluster: {server: "https://$CONTROL_IP:6443", certificate-authority: $RUN/pki/ca.crt}}]
users: [{name: user, user: {token: $token}}]
contexts: [{name: bed, context: {cluster: bed, user: user}}]
current-context: bed
CONFIG
}

identities() {
  local i names
  cd "$RUN/pki"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=bed -keyout ca.key -out ca.crt 2>/dev/null
  names="IP:127.0.0.1,IP:$CONTROL_IP,IP:$SERVICE_IP,DNS:localhost,DNS:kubernetes.default.svc.cluster.local"
  certificate apiserver /CN=kube-apiserver "subjectAltName=$names\nextendedKeyUsage=serverAuth\n"
  certificate kubelet-client /O=system:masters/CN=apiserver-kubelet-client "extendedKeyUsage=clientAuth\n"
  openssl genrsa -out sa.key 2048 2>/dev/null
  openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
  user admin admin system:masters
  user manager system:kube-controller-manager
  user scheduler system:kube-scheduler
  user proxy system:kube-proxy
  for i in $(all_nodes); do user "kubelet$i" "system:node:node$i" system:nodes; done
  cd "$HERE"
}

api_server() {
  # The bed ends with its data, so etcd keeps it in memory: its fsyncs do not meet those of the programs under test.
  # shellcheck disable=SC2016 # expanded by the inner shell
  start etcd unshare --mount --propagation private bash -c 'mount -t tmpfs tmpfs "$1" && shift && exec "$@"' etcd \
    "$RUN/etcd" etcd --name bed --data-dir "$RUN/etcd/data" --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster bed=http://127.0.0.1:2380
  wait_for 20 "etcd" on_switch curl -sf http://127.0.0.1:2379/health
  start kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --bind-address=0.0.0.0 --secure-port=6443 \
    --advertise-address="$CONTROL_IP" --service-cluster-ip-range="$SERVICE_CIDR" --allow-privileged=true \
    --client-ca-file="$RUN/pki/ca.crt" --tls-cert-file="$RUN/pki/apiserver.crt" \
    --tls-private-key-file="$RUN/pki/apiserver.key" --token-auth-file="$RUN/pki/tokens.csv" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$RUN/pki/sa.pub" --service-account-signing-key-file="$RUN/pki/sa.key" \
    --kubelet-client-certificate="$RUN/pki/kubelet-client.crt" --kubelet-client-key="$RUN/pki/kubelet-client.key" \
    --requestheader-client-ca-file="$RUN/pki/ca.crt" --requestheader-allowed-names=none \
    --kubelet-preferred-address-types=InternalIP --profiling=false
  wait_for 90 "the API server" on_switch kubectl get --raw /readyz
}

managers() {
  # The volumes' folders belong to who makes them, so the provisioner runs as the user whose pods write there.
  # A node is taken for dead after 10 s, not 50: the tests need not wait.
  # shellcheck disable=SC2016 # expanded by the inner shell
  start kube-controller-manager unshare --mount --propagation private \
    bash -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' manager "$RUN/volumes" "$HOST_PATH" \
    setpriv --reuid "$VOLUME_USER" --regid "$VOLUME_USER" --clear-groups \
    --inh-caps +dac_override,+dac_read_search --ambient-caps +dac_override,+dac_read_search \
    kube-controller-manager --kubeconfig="$RUN/manager.kubeconfig" --bind-address=127.0.0.1 --leader-elect=false \
    --authentication-kubeconfig="$RUN/manager.kubeconfig" --authorization-kubeconfig="$RUN/manager.kubeconfig" \
    --use-service-account-credentials=true --service-account-private-key-file="$RUN/pki/sa.key" \
    --root-ca-file="$RUN/pki/ca.crt" --cluster-signing-cert-file="$RUN/pki/ca.crt" \
    --cluster-signing-key-file="$RUN/pki/ca.key" --enable-hostpath-provisioner=true --pvclaimbinder-sync-period=1s \
    --flex-volume-plugin-dir="$RUN/volume-plugins" --node-monitor-grace-period=10s --node-monitor-period=1s --profiling=false
  start kube-scheduler kube-scheduler --kubeconfig="$RUN/scheduler.kubeconfig" --bind-address=127.0.0.1 \
    --authentication-kubeconfig="$RUN/scheduler.kubeconfig" --authorization-kubeconfig="$RUN/scheduler.kubeconfig" \
    --leader-elect=false --profiling=false
  cat >"$RUN/Corefile" <<COREFILE
.:53 {
    errors
    ready 127.0.0.1:8181
    health 127.0.0.1:8182
    kubernetes cluster.local in-addr.arpa {
        kubeconfig $RUN/admin.kubeconfig bed
        ttl 1
    }
    loadbalance
}
COREFILE
  start coredns coredns -conf "$RUN/Corefile"
}

rm -rf "$LOGS"
mkdir -p "$LOGS" "$RUN"/{pids,pki,etcd,volumes}
# The provisioner passes through these folders under another user.
chmod 711 "$RUN"
chmod 777 "$RUN/volumes"
echo "$COUNT" >"$RUN/node-count"
save_machine
network
identities
api_server
managers
say "control plane"
for i in $(all_nodes); do "$HERE/node.sh" on "$i"; done
on_switch kubectl apply -f "$HERE/storage.yaml" >/dev/null
for i in $(all_nodes); do
  wait_for 90 "node$i" on_switch kubectl wait "node/node$i" --for=condition=Ready --timeout=1s
done
wait_for 30 "the default service account" on_switch kubectl get serviceaccount default
wait_for 30 "the cluster's DNS" on_switch curl -sf http://127.0.0.1:8181/ready
if [ -n "${HOLDFAST_K8S_OWNER:-}" ]; then
  # The process that asked for the bed may be killed before it can take it down.
  setsid "$HERE/watch.sh" "$HOLDFAST_K8S_OWNER" >"$LOGS/watch.log" 2>&1 3>&- </dev/null &
  note_pid watch $!
fi
say "up, $COUNT nodes"
