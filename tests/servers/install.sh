#!/bin/sh
# Installs the programs that the tests run against. Run it as often as you like: what is there is left alone.
#
# As root it installs Debian packages; otherwise it says which are missing. distribution v3 is no Debian package: it is
# built as a Go module into .tools/bin, which git ignores; so is the server in go/. envoy.sh installs Envoy.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
tools=$root/.tools/bin
version=v3.1.1
# The file beside the program says which version it is.
stamp=$tools/registry-v3.version

step() { echo "servers: $*"; }
fail() {
	echo "servers: $*" >&2
	exit 1
}

# nginx is in /usr/sbin, which a user's PATH may lack.
PATH=$PATH:/usr/sbin
packages=
need() {
	command -v "$1" >/dev/null 2>&1 || packages="$packages $2"
}
need nginx nginx-light
need docker-registry docker-registry
need skopeo skopeo
need curl curl
need openssl openssl
# Without the package apache2, which is the system's service.
need apache2 apache2-bin
need caddy caddy
need softhsm2-util softhsm2

if [ -z "$packages" ]; then
	step "Debian packages: there"
elif [ "$(id -u)" != 0 ]; then
	fail "Debian packages missing. Run as root: apt-get install$packages"
elif ! command -v apt-get >/dev/null 2>&1; then
	fail "programs missing and no apt-get here. Install by the means of this system:$packages"
else
	step "Debian packages: installing$packages"
	export DEBIAN_FRONTEND=noninteractive
	log=$(mktemp)
	# A list may be old; a fresh machine has none.
	apt-get update -qq >"$log" 2>&1 || step "apt-get update failed, going on with the lists that are there"
	# shellcheck disable=SC2086
	apt-get install -y -qq --no-install-recommends $packages >>"$log" 2>&1 || {
		tail -20 "$log" >&2
		fail "apt-get install failed. Try by hand: apt-get install$packages"
	}
	rm -f "$log"
	step "Debian packages: installed"
fi

command -v go >/dev/null 2>&1 || PATH=$PATH:/usr/local/go/bin
mtls=$tools/go-mtls
if [ -x "$mtls" ] && [ -z "$(find "$root/tests/servers/go" -newer "$mtls" -type f)" ]; then
	step "the Go server: there"
else
	command -v go >/dev/null 2>&1 || fail "Go is missing. Install Go 1.25 or newer: the Go server is built with it"
	step "the Go server: building"
	mkdir -p "$tools"
	(cd "$root/tests/servers/go" && GOFLAGS=-mod=mod GOWORK=off go build -o "$mtls" .) ||
		fail "the build failed. Try by hand: cd tests/servers/go && go build"
	step "the Go server: built"
fi

sh "$root/tests/servers/envoy.sh"

if [ -x "$tools/registry-v3" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$version" ]; then
	step "distribution $version: there"
	exit 0
fi
command -v go >/dev/null 2>&1 || fail "Go is missing. Install Go 1.25 or newer: distribution $version is built with it"
step "distribution $version: building with $(go version | cut -d ' ' -f 3), about two minutes"
mkdir -p "$tools"
# Into a directory of its own: the program is called registry, as others are.
build=$(mktemp -d "$tools/build.XXXXXX")
trap 'rm -rf "$build"' EXIT
GOBIN=$build go install "github.com/distribution/distribution/v3/cmd/registry@$version" >"$build/log" 2>&1 || {
	tail -20 "$build/log" >&2
	fail "the build failed. Try by hand: go install github.com/distribution/distribution/v3/cmd/registry@$version"
}
mv "$build/registry" "$tools/registry-v3"
echo "$version" >"$stamp"
step "distribution $version: built"
