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

step() { echo "interop: $*"; }
fail() {
	echo "interop: $*" >&2
	exit 1
}

# runc is in /usr/sbin, which a user's PATH may lack.
PATH=$PATH:/usr/sbin
packages=
for name in runc patch; do
	command -v $name >/dev/null 2>&1 || packages="$packages $name"
done
if [ -z "$packages" ]; then
	step "Debian packages: there"
elif [ "$(id -u)" != 0 ]; then
	fail "Debian packages missing. Run as root: apt-get install$packages"
elif ! command -v apt-get >/dev/null 2>&1; then
	fail "programs missing and no apt-get here. Install by the means of this system:$packages"
else
	step "Debian packages: installing$packages"
	export DEBIAN_FRONTEND=noninteractive
	# A list may be old; a fresh machine has none.
	apt-get update -qq >/dev/null 2>&1 || step "apt-get update failed, going on with the lists that are there"
	# shellcheck disable=SC2086
	apt-get install -y -qq --no-install-recommends $packages >/dev/null 2>&1 ||
		fail "the installation failed. Try by hand: apt-get install$packages"
	step "Debian packages: installed"
fi

command -v go >/dev/null 2>&1 || PATH=$PATH:/usr/local/go/bin
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
