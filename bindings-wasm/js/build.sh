#!/bin/sh
# Builds the npm package: `npm run build`. A new machine gets what it lacks; each step says so.
#
# 1. one WebAssembly module for each entry (cargo, ../toolchain.sh)
# 2. its JavaScript side (glue/) and its optimization (wasm-opt)
# 3. the package itself (build.mjs): dist/
#
# ENTRIES="index tls" compiles these only.
set -eu
cd "$(dirname "$0")/../.."
. bindings-wasm/toolchain.sh

js=$wasm_root/bindings-wasm/js
target=${CARGO_TARGET_DIR:-$wasm_root/target}
glue=$js/build/glue
export CARGO_INCREMENTAL=0

features() {
	case $1 in
	index) echo client ;;
	config) echo config ;;
	tls) echo tls ;;
	all) echo config,tls ;;
	mint) echo mint ;;
	*) fail "unknown entry $1" ;;
	esac
}

step "the program that writes the JavaScript side (some minutes the first time)"
cargo build --quiet --locked --manifest-path "$js/glue/Cargo.toml" --target-dir "$target/glue"

wasm_target wasm32-unknown-unknown
wasm_own_std
wasm_clang
mkdir -p "$glue"
for entry in ${ENTRIES:-index config tls all mint}; do
	step "$entry: compiling"
	wasm_cargo build --quiet --locked --profile wasm --package regauth-js --features "$(features "$entry")"
	module=$target/wasm32-unknown-unknown/wasm/regauth_js.wasm
	# The time of the module is kept with it: what has not changed is not optimized again.
	if cmp -s "$module" "$glue/$entry.cargo"; then
		step "$entry: unchanged"
		continue
	fi
	"$target/glue/debug/regauth-glue" "$module" "$glue" "$entry"
	# What is called once is left where it is: that compresses better, and is no slower.
	wasm_opt "$glue/${entry}_bg.wasm" "$glue/$entry.wasm" -Oz --one-caller-inline-max-function-size=1
	cp "$module" "$glue/$entry.cargo"
	step "$entry: $(wc -c <"$glue/$entry.wasm") bytes, $(gzip -9c "$glue/$entry.wasm" | wc -c) compressed"
done

cd "$js"
if [ ! -d node_modules ] || [ package-lock.json -nt node_modules ]; then
	step "npm ci: TypeScript and esbuild"
	npm ci --no-audit --no-fund --loglevel=error >&2
	touch node_modules
fi
node build.mjs
step "dist/ is there"
