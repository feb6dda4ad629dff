#!/bin/sh
# Builds the benchmark with its peers, runs it, and prints one table; arguments are the names of groups.
set -eu
cd "$(dirname "$0")"

what=bench
. ../../tests/steps.sh

# OpenSSL is a peer.
debian pkg-config=pkg-config openssl.pc=libssl-dev
command -v go >/dev/null 2>&1 || fail "Go is missing, for the peers in Go. Install it: https://go.dev/dl"
step "building, with the peers, about three minutes the first time"
cargo build --release --quiet --locked
(cd peers/go && go build -o /dev/null .) || fail "the peers in Go do not build"
step "measuring, some minutes; a machine with nothing else to do gives better figures"
exec cargo run --release --quiet --locked -- "$@"
