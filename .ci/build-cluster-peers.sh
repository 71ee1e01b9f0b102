#!/bin/sh
# Builds kube-apiserver and kubelet of one Kubernetes version through Go into ~/.cache/podwire-peers (PODWIRE_PEERS
# overrides), for the tests that put podwire beside a real cluster. That takes 2 GB below the temporary folder and up to an
# hour on two cores: `npm run soak -- real-cluster` does it, .ci/run does not. Does nothing twice; ends with exit code 1 and
# the names of what is missing.
set -eu

KUBERNETES_MINOR=32
KUBERNETES_VERSION=1.$KUBERNETES_MINOR.4

peers=${PODWIRE_PEERS:-${HOME:-/root}/.cache/podwire-peers}
PATH=$PATH:/usr/local/go/bin
export GOFLAGS="-buildvcs=false -mod=mod" CGO_ENABLED=0

say() { echo "build-cluster-peers: $*" >&2; }

wanted=
for program in kube-apiserver kubelet; do
  [ -x "$peers/$program-1.$KUBERNETES_MINOR" ] || wanted="$wanted $program"
done
[ -n "$wanted" ] || exit 0
if ! command -v go >/dev/null 2>&1; then
  say "missing:$wanted (there is no go to build them)"
  exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$peers"
cd "$work"

module=$(go mod download -json "k8s.io/kubernetes@v$KUBERNETES_VERSION" 2>log | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
if [ -z "$module" ]; then
  say "no source of k8s.io/kubernetes v$KUBERNETES_VERSION: $(tail -n 1 log)"
  exit 1
fi

# A module of our own with the versions of theirs. Theirs takes its staging modules from folders that are not in the
# module's archive: each is a module of its own too, numbered v0 where Kubernetes is v1.
sed -e 's#^module .*#module podwire.local/cluster#' -e '/=>/d' -e '/^replace/,/^)/d' \
  -e "s|^\(\tk8s.io/[a-z-]*\) v0\.0\.0\$|\1 v0.${KUBERNETES_VERSION#1.}|" "$module/go.mod" >go.mod
echo "require k8s.io/kubernetes v$KUBERNETES_VERSION" >>go.mod
cp "$module/go.sum" go.sum
chmod u+w go.sum

# kubernetes' own go.mod asks for v0.0.0 of them, which does not exist.
for staging in $(sed -n 's#^\t\(k8s.io/[a-z-]*\) => .*#\1#p' "$module/go.mod"); do
  echo "replace $staging => $staging v0.${KUBERNETES_VERSION#1.}" >>go.mod
done

version=k8s.io/component-base/version
stamp="-X $version.gitVersion=v$KUBERNETES_VERSION -X $version.gitMajor=1 -X $version.gitMinor=$KUBERNETES_MINOR"
missing=
for program in $wanted; do
  if go build -trimpath -ldflags "-s -w $stamp" -o "$program" "k8s.io/kubernetes/cmd/$program" >log 2>&1; then
    mv "$program" "$peers/$program-1.$KUBERNETES_MINOR"
  else
    say "build of $program failed:"
    tail -n 20 log >&2
    missing="$missing $program"
  fi
done
if [ -n "$missing" ]; then
  say "missing:$missing"
  exit 1
fi
