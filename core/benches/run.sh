#!/bin/sh
# Builds the benchmark with its peers, runs it, and prints one table; arguments are the names of groups.
set -eu
cd "$(dirname "$0")"

step() { echo "bench: $*"; }
fail() {
	echo "bench: $*" >&2
	exit 1
}

packages=
command -v pkg-config >/dev/null 2>&1 || packages="$packages pkg-config"
pkg-config --exists openssl 2>/dev/null || packages="$packages libssl-dev"
if [ -n "$packages" ]; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		step "installing$packages"
		# shellcheck disable=SC2086
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $packages; } >/dev/null 2>&1 ||
			fail "apt-get install$packages did not work"
	else
		fail "missing, for OpenSSL as a peer. Install:$packages"
	fi
fi
command -v go >/dev/null 2>&1 || fail "Go is missing, for the peers in Go. Install it: https://go.dev/dl"
step "building, with the peers, about three minutes the first time"
cargo build --release --quiet --locked
(cd peers/go && go build -o /dev/null .) || fail "the peers in Go do not build"
step "measuring, some minutes; a machine with nothing else to do gives better figures"
exec cargo run --release --quiet --locked -- "$@"
