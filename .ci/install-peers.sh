#!/bin/sh
# Puts the real programs that the interop tests need on this machine: Debian packages as root, and what Debian has not
# or has too old, built through Go, in ~/.cache/podwire-peers (PODWIRE_PEERS overrides). Does nothing twice, is quiet
# when all is there, and ends with exit code 1 and the names of what is missing.
set -eu

KUBECTL_VERSION=0.36.0 # of the module k8s.io/kubectl: kubectl 1.36
CRI_TOOLS_VERSION=1.32.0

peers=${PODWIRE_PEERS:-${HOME:-/root}/.cache/podwire-peers}
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
  have ip || wanted="$wanted iproute2"
  have tmux || wanted="$wanted tmux"
  have haproxy || wanted="$wanted haproxy"
  if [ -z "$wanted" ]; then return; fi
  if [ "$(id -u)" != 0 ] || ! have apt-get; then
    say "not installed, for that takes root and apt-get:$wanted"
    return
  fi
  # containerd and haproxy would start as services: the tests start their own.
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

# crictl is a command of its module; critest is a test binary of it.
build_cri_tools() {
  if ! have go; then return; fi
  if ! have crictl && [ ! -x "$peers/crictl" ]; then
    GOBIN="$peers" quietly "build of crictl" go install "sigs.k8s.io/cri-tools/cmd/crictl@v$CRI_TOOLS_VERSION" || return 0
  fi
  if have critest || [ -x "$peers/critest" ]; then return; fi
  module=$(go mod download -json "sigs.k8s.io/cri-tools@v$CRI_TOOLS_VERSION" 2>"$work/log" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  if [ -z "$module" ]; then
    say "no source of critest: $(tail -n 1 "$work/log")"
    return
  fi
  # The module cache is read-only.
  cp -R "$module" "$work/cri-tools"
  chmod -R u+w "$work/cri-tools"
  (cd "$work/cri-tools" && quietly "build of critest" go test -c -o "$peers/critest" ./cmd/critest) || return 0
}

install_packages
fetch_old_kubectl
build_kubectl
build_cri_tools

missing=
for program in containerd runc ip tmux haproxy; do have "$program" || missing="$missing $program"; done
[ -e /usr/lib/cni/ptp ] || missing="$missing cni-plugins"
static_busybox || missing="$missing busybox-static"
for program in kubectl crictl critest; do
  have "$program" || [ -x "$peers/$program" ] || missing="$missing $program"
done
[ -x "$peers/kubectl-1.20" ] || missing="$missing kubectl-1.20"
if [ -n "$missing" ]; then say "missing:$missing"; fi
