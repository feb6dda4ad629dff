#!/bin/sh
# Installs the programs that the tests here run, beside those of tests/servers. Run it as often as you like: what is there
# is left alone.
#
# As root it installs Debian packages; otherwise it says which are missing. The Go programs are built as modules into
# .tools/bin, which git ignores, without cgo as BuildKit's releases are.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tools=$(cd "$here/../.." && pwd)/.tools/bin
mkdir -p "$tools"
cd "$here"

what=interop
. "$here/../steps.sh"

debian runc=runc patch=patch
command -v go >/dev/null 2>&1 || fail "Go is missing. Install Go $(sed -n 's/^go //p' go.mod) or newer"
export CGO_ENABLED=0 GOWORK=off

# Builds a package into a program.
build() {
	log=$(mktemp)
	go build -ldflags "-s -w" -o "$tools/$1" "$2" >"$log" 2>&1 || {
		tail -20 "$log" >&2
		rm -f "$log"
		fail "the build failed. Try by hand: cd tests/interop && go build $2"
	}
	rm -f "$log"
}

# The modules that a program is made of are in go.mod and go.sum.
modules="$(go env GOVERSION) $(cat go.mod go.sum | sha256sum | cut -d ' ' -f 1)"
# A program that is not ours: name, package, how long it takes.
stock() {
	if [ -x "$tools/$1" ] && [ "$(cat "$tools/$1.version" 2>/dev/null)" = "$modules" ]; then
		step "$1: there"
		return
	fi
	step "$1: building, $3"
	build "$1" "$2"
	echo "$modules" >"$tools/$1.version"
	step "$1: built"
}
stock buildkitd github.com/moby/buildkit/cmd/buildkitd "two to four minutes"
stock buildctl github.com/moby/buildkit/cmd/buildctl "half a minute"
stock containerd github.com/containerd/containerd/v2/cmd/containerd "a minute"
stock ctr github.com/containerd/containerd/v2/cmd/ctr "half a minute"
stock crane github.com/google/go-containerregistry/cmd/crane "half a minute"
stock oras oras.land/oras/cmd/oras "half a minute"

# buildkitd with our resolver: its command's sources with a patch. Go builds what has changed and nothing else.
step "buildkitd with our resolver: building, half a minute"
source=$(go list -m -f '{{.Dir}}' github.com/moby/buildkit)/cmd/buildkitd
rm -rf buildkitd
cp -R "$source" buildkitd
chmod -R u+w buildkitd
rm -f buildkitd/*_test.go
patch --silent -p1 -d buildkitd <buildkitd.patch ||
	fail "buildkitd.patch does not fit BuildKit $(go list -m -f '{{.Version}}' github.com/moby/buildkit)"
build buildkitd-regauth ./buildkitd
step "buildkitd with our resolver: built"
