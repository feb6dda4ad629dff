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

what=servers
. "$root/tests/steps.sh"

# apache2-bin: without the package apache2, which is the system's service.
debian nginx=nginx-light docker-registry=docker-registry skopeo=skopeo curl=curl openssl=openssl apache2=apache2-bin \
	caddy=caddy softhsm2-util=softhsm2

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
