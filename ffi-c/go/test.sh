#!/bin/sh
# All tests of Go: the package with both back ends and transport, under the race detector, the module in an empty project,
# and whether what is made of other sources is up to date. SOAK is a number of flows, 20,000 without it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
export GOWORK=off

what=go
. "$here/../../tests/steps.sh"

command -v go >/dev/null 2>&1 || fail "Go is missing. Install Go 1.25 or newer"
command -v gcc >/dev/null 2>&1 || fail "gcc is missing, for the race detector and cgo. Install it: apt-get install gcc"
cd "$here"

sh build.sh --check
cp functions.go functions_cgo.go "$work"
go run ./internal/generate
cmp -s functions.go "$work/functions.go" && cmp -s functions_cgo.go "$work/functions_cgo.go" ||
	fail "functions.go and functions_cgo.go were older than regauth.h: commit what go generate has written"
[ -z "$(gofmt -l .)" ] || fail "not formatted: $(gofmt -l .)"

step "the package on WebAssembly: vectors, soak, an empty project without cgo and Rust"
go vet ./...
CGO_ENABLED=0 go test ./...
step "the same under the race detector"
concurrent='Goroutines|Gives|Closed|Errors|Files|Signer'
go test -race -run "$concurrent" .
go test -race ./server

step "the static library (${PROFILE:-dev})"
make -s --no-print-directory -C .. install PREFIX="$work" PROFILE="${PROFILE:-dev}"
step "the package on cgo: vectors, soak; and under the race detector"
export CGO_CFLAGS="-I$work/include" CGO_LDFLAGS="-L$work/lib"
go vet -tags regauth_cgo ./...
GLIBC_TUNABLES=glibc.malloc.tcache_count=0 go test -tags regauth_cgo -skip Empty . ./server
go test -tags regauth_cgo -race -run "$concurrent" .
go test -tags regauth_cgo -race ./server

step "transport against nginx and distribution, under the race detector"
cd transport
go vet ./...
go test -race ./...
step "all good"
