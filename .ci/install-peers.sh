#!/bin/sh
# Puts the real programs that the interop tests need on this machine: Debian packages as root, and what Debian has not
# or has too old, built through Go, in ~/.cache/podwire-peers (PODWIRE_PEERS overrides). Does nothing twice, is quiet
# when all is there, and names what is missing: then the tests that need it say so.
set -eu

KUBECTL_VERSION=0.36.0 # of the module k8s.io/kubectl: kubectl 1.36
CRI_TOOLS_VERSION=1.37.0
CRITEST_OLD_VERSION=1.34.0 # a second critest; the module has no 1.32, 1.33 and 1.35 to download

peers=${PODWIRE_PEERS:-${HOME:-/root}/.cache/podwire-peers}
critest_old=critest-${CRITEST_OLD_VERSION%.*}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$peers"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/go/bin
export GOFLAGS="-buildvcs=false"

have() { command -v "$1" >/dev/null 2>&1; }
say() { echo "install-peers: $*" >&2; }

# quietly WHAT COMMAND… runs COMMAND and shows its output only when it fails.
quietly() {
  what=$1
  shift
  "$@" >"$work/log" 2>&1 && return
  say "$what failed:"
  tail -n 20 "$work/log" >&2
  return 1
}

install_packages() {
  wanted=
  have containerd && have ctr || wanted="$wanted containerd"
  have runc || wanted="$wanted runc"
  [ -e /usr/lib/cni/ptp ] || wanted="$wanted containernetworking-plugins"
  static_busybox || wanted="$wanted busybox-static"
  have sshd || wanted="$wanted openssh-server"
  [ -e /lib/systemd/systemd ] || wanted="$wanted systemd"
  have ip || wanted="$wanted iproute2"
  have iptables || wanted="$wanted iptables"
  have tmux || wanted="$wanted tmux"
  have haproxy || wanted="$wanted haproxy"
  have capsh || wanted="$wanted libcap2-bin"
  have newuidmap || wanted="$wanted uidmap"
  have etcd || wanted="$wanted etcd-server"
  # Programs that draw on a terminal.
  have htop || wanted="$wanted htop"
  have top || wanted="$wanted procps"
  have less || wanted="$wanted less"
  have vi || wanted="$wanted vim-tiny"
  if [ -z "$wanted" ]; then return; fi
  if [ "$(id -u)" != 0 ] || ! have apt-get; then
    say "not installed, for that takes root and apt-get:$wanted"
    return
  fi
  # containerd, haproxy and etcd would start as services: the tests start their own.
  printf '#!/bin/sh\nexit 101\n' >"$work/policy"
  chmod +x "$work/policy"
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    cp "$work/policy" /usr/sbin/policy-rc.d
    trap 'rm -rf "$work" /usr/sbin/policy-rc.d' EXIT
  fi
  quietly "apt-get update" apt-get update -qq || return 0
  # shellcheck disable=SC2086 # a list of names
  DEBIAN_FRONTEND=noninteractive quietly "apt-get install$wanted" \
    apt-get install -y -qq --no-install-recommends $wanted || return 0
}

static_busybox() {
  [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1
}

# The last kubectl of Debian that knows SPDY alone. Unpacked, not installed: it would replace the other one.
fetch_old_kubectl() {
  if [ -x "$peers/kubectl-1.20" ] || ! have apt-get || ! have dpkg-deb; then return; fi
  (
    cd "$work"
    # apt drops its rights for a download and then needs to write here.
    chmod 777 .
    quietly "download of kubernetes-client" apt-get download -qq kubernetes-client || exit 0
    dpkg-deb -x kubernetes-client_*.deb unpacked
    mv unpacked/usr/bin/kubectl "$peers/kubectl-1.20"
  )
}

# The module k8s.io/kubectl is a library: this is its main function.
build_kubectl() {
  if have kubectl || [ -x "$peers/kubectl" ] || ! have go; then return; fi
  mkdir "$work/kubectl"
  cat >"$work/kubectl/main.go" <<'GO'
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

func main() {
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
	os.Exit(0)
}
GO
  (
    cd "$work/kubectl"
    quietly "go mod init" go mod init podwire.local/kubectl || exit 0
    quietly "go get k8s.io/kubectl" \
      go get "k8s.io/kubectl@v$KUBECTL_VERSION" "k8s.io/component-base@v$KUBECTL_VERSION" || exit 0
    quietly "go mod tidy" go mod tidy || exit 0
    quietly "build of kubectl" go build -trimpath -o kubectl \
      -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=v1.${KUBECTL_VERSION#0.}" . || exit 0
    mv kubectl "$peers/kubectl"
  )
}

# is_at VERSION NAME: whether $peers has the crictl or critest NAME in that version, which its build wrote into it.
is_at() {
  [ -x "$peers/$2" ] && "$peers/$2" --version 2>/dev/null | grep -q "version:* v$1\$"
}

# wants_crictl: one that the system brought is good too, for it has no numbers of ours.
wants_crictl() {
  if is_at "$CRI_TOOLS_VERSION" crictl; then return 1; fi
  [ -e "$peers/crictl" ] || ! have crictl
}

# build_cri_tool VERSION PROGRAM NAME: crictl is a command of its module, critest a test binary of it. Both are built
# inside a module of our own that takes over the versions of theirs: `go install` would ask for a list of versions, which
# not every Go proxy has. An older one in $peers is replaced.
build_cri_tool() {
  if ! have go; then return; fi
  module=$(go mod download -json "sigs.k8s.io/cri-tools@v$1" 2>"$work/log" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  if [ -z "$module" ]; then
    say "no source of $2 $1: $(tail -n 1 "$work/log")"
    return
  fi
  mkdir "$work/$3"
  (
    cd "$work/$3"
    sed 's#^module .*#module podwire.local/cri-tools#' "$module/go.mod" >go.mod
    cp "$module/go.sum" go.sum
    chmod u+w go.sum
    echo "require sigs.k8s.io/cri-tools v$1" >>go.mod
    export GOFLAGS="$GOFLAGS -mod=mod"
    case $2 in
      critest) verb="test -c" ;;
      *) verb=build ;;
    esac
    # shellcheck disable=SC2086 # two words
    quietly "build of $2 $1" go $verb -trimpath -ldflags "-s -w -X sigs.k8s.io/cri-tools/pkg/version.Version=v$1" \
      -o "$2" "sigs.k8s.io/cri-tools/cmd/$2" || exit 0
    mv "$2" "$peers/$3"
  )
}

build_cri_tools() {
  if wants_crictl; then build_cri_tool "$CRI_TOOLS_VERSION" crictl crictl; fi
  is_at "$CRI_TOOLS_VERSION" critest || build_cri_tool "$CRI_TOOLS_VERSION" critest critest
  is_at "$CRITEST_OLD_VERSION" "$critest_old" || build_cri_tool "$CRITEST_OLD_VERSION" critest "$critest_old"
}

# Their tests build them; client-go takes minutes the first time, and a second the next.
warm_up_go_peers() {
  if ! have go; then return; fi
  for peer in informers protobuf; do
    (cd "$here/../test/interop/$peer" && quietly "build of $peer" go build -o /dev/null .) || return 0
  done
}

install_packages
fetch_old_kubectl
build_kubectl
build_cri_tools
warm_up_go_peers

missing=
for program in containerd runc ip sshd systemctl tmux haproxy capsh newuidmap etcd htop top less vi; do
  have "$program" || missing="$missing $program"
done
[ -e /usr/lib/cni/ptp ] || missing="$missing cni-plugins"
static_busybox || missing="$missing busybox-static"
for program in kubectl crictl; do
  have "$program" || [ -x "$peers/$program" ] || missing="$missing $program"
done
is_at "$CRI_TOOLS_VERSION" critest || missing="$missing critest-$CRI_TOOLS_VERSION"
is_at "$CRITEST_OLD_VERSION" "$critest_old" || missing="$missing critest-$CRITEST_OLD_VERSION"
[ -x "$peers/kubectl-1.20" ] || missing="$missing kubectl-1.20"
if [ -n "$missing" ]; then say "missing:$missing"; fi
