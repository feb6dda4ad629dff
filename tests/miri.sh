#!/bin/sh
# The tests of the core without TLS under Miri: undefined behaviour, leaks, and what a 64-bit little-endian machine hides.
# MIRI_TARGET=s390x-unknown-linux-gnu: on a big-endian one.
#
# The core is `forbid(unsafe_code)`; what is looked at is the libraries under it, and that dropped flows leave nothing.
set -eu
cd "$(dirname "$0")/.."

what=miri
. ./tests/steps.sh
command -v rustup >/dev/null 2>&1 ||
	fail "rustup is missing. Install it (https://rustup.rs); Miri comes with a nightly compiler"
if ! cargo +nightly miri --version >/dev/null 2>&1; then
	step "nightly Rust with Miri: installing, about a minute"
	rustup toolchain install nightly --profile minimal --component miri,rust-src --no-self-update >/dev/null 2>&1 ||
		fail "missing. Install it: rustup toolchain install nightly --profile minimal --component miri,rust-src"
fi
step "building its standard library and the tests, then running them: some minutes"
# Vectors are files, so the programs are not isolated from them.
MIRIFLAGS="-Zmiri-disable-isolation ${MIRIFLAGS:-}" cargo +nightly miri test --quiet --package regauth \
	--no-default-features --lib --test agent --test vectors ${MIRI_TARGET:+--target "$MIRI_TARGET"}
step "good"
