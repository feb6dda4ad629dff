#!/bin/sh
# Builds the plugin: bindings-wasm/proxy/dist/regauth.wasm, with its sizes and its imports checked.
set -eu
cd "$(dirname "$0")/../.."
. bindings-wasm/toolchain.sh

out=bindings-wasm/proxy/dist/regauth.wasm
wasm_target wasm32-unknown-unknown
wasm_own_std
echo "proxy: building the plugin, two minutes the first time"
# shellcheck disable=SC2086
wasm_cargo build --quiet --locked --profile wasm -p regauth-proxy
mkdir -p "$(dirname "$out")"
wasm_opt "${CARGO_TARGET_DIR:-target}/wasm32-unknown-unknown/wasm/regauth_proxy.wasm" "$out" -Oz --one-caller-inline-max-function-size=1

# What it takes from its host, and nothing else: a module with another import is not loaded by some of them.
node -e '
const fs = require("fs");
const module = new WebAssembly.Module(fs.readFileSync(process.argv[1]));
const have = WebAssembly.Module.imports(module).map(i => `${i.module}.${i.name}`).sort().join("\n");
const want = fs.readFileSync(process.argv[2], "utf8").trim();
if (have !== want) { console.error(`proxy: the imports are not those of imports.txt:\n${have}`); process.exit(1); }
' "$out" bindings-wasm/proxy/imports.txt

raw=$(wc -c <"$out") packed=$(gzip -9c "$out" | wc -c)
echo "proxy: $out: $raw bytes, $packed gzip"
[ "$packed" -le 110000 ] || { echo "proxy: over its limit of 110000 bytes gzip" >&2; exit 1; }
