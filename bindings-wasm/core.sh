#!/bin/sh
# The core's unit tests and all vectors, on wasm32-wasip1 in Node. Part of `make test-wasm`.
set -eu
cd "$(dirname "$0")/.."
. bindings-wasm/toolchain.sh

command -v node >/dev/null 2>&1 || fail "node is missing: install Node 20 or newer"
wasm_target wasm32-wasip1
export CARGO_INCREMENTAL=0 CARGO_TARGET_WASM32_WASIP1_RUNNER="node --no-warnings $wasm_root/bindings-wasm/wasi.mjs"

# Without layers b and c: cryptography for this target needs a C library. The npm package's tests run those in wasm.
features="--package regauth --no-default-features --features config,server,mint"
step "the core's unit tests on wasm32-wasip1"
# shellcheck disable=SC2086
wasm_cargo test --quiet --locked $features --lib
step "all vectors on wasm32-wasip1"
# shellcheck disable=SC2086
wasm_cargo run --quiet --locked $features --example vectors -- tests/vectors/*.jsonl
