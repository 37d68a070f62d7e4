#!/usr/bin/env bash
# Builds what the bed runs, from Go modules alone: no registry of images is asked. Does nothing for what is there in the
# right version. The first time takes some eight minutes on two cores. With names as arguments, these alone.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=env.sh
. "$HERE/env.sh"
export CGO_ENABLED=0 GOFLAGS="-buildvcs=false -mod=mod" GOTOOLCHAIN=local
SRC=$CACHE/src
COMPONENTS=(kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl)

# True if $1 stands in $BIN in version $2.
is_built() { [ "$(cat "$BIN/.$1.version" 2>/dev/null)" = "$2" ]; }

# Builds $1 in version $2 by the function build_$1, with the time it took.
provide() {
  local start=$SECONDS
  is_built "$1" "$2" && return 0
  echo "bed: building $1 $2 ..." >&2
  rm -rf "${SRC:?}/$1"
  mkdir -p "$SRC/$1"
  (cd "$SRC/$1" && "build_$1")
  echo "$2" >"$BIN/.$1.version"
  echo "bed: built $1 $2 in $((SECONDS - start)) s" >&2
}

go_build() { go build -p 2 -trimpath "$@"; }

# All Kubernetes programs in one, told apart by the name they are called by: a third of the size, one link.
build_hyper() {
  local mod_cache staging package stamp=""
  mkdir -p scratch hyper
  (cd scratch && printf 'module scratch\n\ngo 1.24\n' >go.mod && go list -m "k8s.io/kubernetes@v$KUBERNETES_VERSION" >/dev/null)
  mod_cache=$(go env GOMODCACHE)/cache/download/k8s.io/kubernetes/@v/v$KUBERNETES_VERSION.mod
  # Kubernetes names its staging modules by folders of its own tree, which count for nothing in a dependency. So the
  # published version of each is said here. The sample modules are not published, and nothing needs them.
  staging=$(sed -n '/^replace/,$p' "$mod_cache" | sed -n 's#^\t\(k8s.io/[a-z-]*\) => ./staging/.*#\1#p' | grep -v /sample-c)
  {
    printf 'module hyper\n\ngo %s\n\n' "$(awk '$1 == "go" { print $2 }' "$mod_cache")"
    grep '^godebug' "$mod_cache" || true
    printf '\nrequire (\n\tk8s.io/kubernetes v%s\n' "$KUBERNETES_VERSION"
    # shellcheck disable=SC2086 # one argument a line
    printf "\t%s v0.${KUBERNETES_VERSION#1.}\n" $staging
    printf ')\n\nreplace (\n'
    for package in $staging; do printf '\t%s => %s v0.%s\n' "$package" "$package" "${KUBERNETES_VERSION#1.}"; done
    printf ')\n'
  } >go.mod
  cp "$HERE/go/hyper/main.go" hyper/
  # Charts read the version from the server.
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    stamp+=" -X $package.gitVersion=v$KUBERNETES_VERSION -X $package.gitMajor=1"
    stamp+=" -X $package.gitMinor=$(cut -d. -f2 <<<"$KUBERNETES_VERSION") -X $package.gitTreeState=clean"
    stamp+=" -X $package.buildDate=1970-01-01T00:00:00Z"
  done
  mkdir -p "$BIN/hyper"
  go_build -ldflags "-s -w$stamp" -o "$BIN/hyper/hyper" ./hyper
  for package in "${COMPONENTS[@]}"; do ln -sf hyper "$BIN/hyper/$package"; done
}

build_helm() {
  local minor
  minor=$(cut -d. -f2 <<<"$KUBERNETES_VERSION")
  printf 'module helmbuild\n\ngo 1.24.0\n\nrequire helm.sh/helm/v3 v%s\n' "$HELM_VERSION" >go.mod
  local stamp="-X helm.sh/helm/v3/internal/version.version=v$HELM_VERSION"
  stamp+=" -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=$minor"
  go_build -ldflags "-s -w $stamp" -o "$BIN/helm" helm.sh/helm/v3/cmd/helm
}

build_cni() {
  local plugins=github.com/containernetworking/plugins/plugins
  printf 'module cnibuild\n\ngo 1.24.2\n\nrequire github.com/containernetworking/plugins v%s\n' "$CNI_VERSION" >go.mod
  mkdir -p "$BIN/cni"
  go_build -ldflags "-s -w" -o "$BIN/cni/" $plugins/main/bridge $plugins/main/loopback $plugins/ipam/host-local $plugins/meta/portmap
}

build_coredns() {
  printf 'module corednsbuild\n\ngo 1.24.0\n\nrequire github.com/coredns/coredns v%s\n' "$COREDNS_VERSION" >go.mod
  cp "$HERE/go/coredns/main.go" .
  go_build -ldflags "-s -w" -o "$BIN/coredns" .
}

build_pause() {
  printf 'module pause\n\ngo 1.24.0\n' >go.mod
  cp "$HERE/go/pause/main.go" .
  go_build -ldflags "-s -w" -o "$BIN/pause" .
  "$HERE/image.py" docker.io/bed/pause:1 "$BIN/pause.tar" "/pause=$BIN/pause"
}

declare -A VERSIONS=(
  [hyper]=$KUBERNETES_VERSION [helm]=$HELM_VERSION [cni]=$CNI_VERSION [coredns]=$COREDNS_VERSION [pause]=1
)
[ $# -gt 0 ] || set -- hyper helm cni coredns pause
mkdir -p "$BIN"
for name in "$@"; do
  [ -n "${VERSIONS[$name]:-}" ] || fail "nothing is called '$name'; known: ${!VERSIONS[*]}"
  is_built "$name" "${VERSIONS[$name]}" && continue
  command -v go >/dev/null || fail "Go 1.24 or newer is needed to build $name: see https://go.dev/dl"
  go version | grep -qE 'go1\.(2[4-9]|[3-9][0-9])' || fail "Go 1.24 or newer is needed; this is $(go version)"
  provide "$name" "${VERSIONS[$name]}"
done
