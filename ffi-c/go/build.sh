#!/bin/sh
# Builds regauth.wasm, which the package embeds: layer a of the C ABI with importers and identities, for
# wasm32-unknown-unknown. `build.sh --check` builds nothing, and fails when the committed one is older than its sources.
set -eu

cd "$(dirname "$0")/../.."
. bindings-wasm/toolchain.sh
here=ffi-c/go
features="--package regauth-c --no-default-features --features pem,config"

# What the module is made of: sources that are in it, and the versions of the packages.
sources() {
	{
		git ls-files core/src ffi-c/src core/Cargo.toml ffi-c/Cargo.toml ffi-c/go/build.sh bindings-wasm/toolchain.sh |
			grep -Ev '^core/src/(server|mint|wire)|^ffi-c/src/(server|issuer|mint|subject|tls|work|link|exchange)[.]rs|tests' |
			LC_ALL=C sort | xargs sha256sum
		# shellcheck disable=SC2086
		cargo tree --quiet --locked $features --target wasm32-unknown-unknown --edges normal --prefix none --format '{p}' |
			sed 's/ (.*//' | LC_ALL=C sort -u
	} | sha256sum | cut -d ' ' -f 1
}

if [ "${1:-}" = --check ]; then
	[ "$(sources)" = "$(cat $here/regauth.wasm.sources 2>/dev/null)" ] ||
		wasm_fail "$here/regauth.wasm is older than its sources. Build it and commit it: sh $here/build.sh"
	wasm_say "$here/regauth.wasm is of these sources"
	exit 0
fi

wasm_target wasm32-unknown-unknown
# Where the packages lie on this machine is nobody's business, and would make another module on the next one.
remap="--remap-path-prefix=$wasm_root=. --remap-path-prefix=$(rustc --print sysroot)/lib/rustlib/src/rust=rust"
for directory in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
	remap="$remap --remap-path-prefix=$directory=crates"
done
export RUSTFLAGS="${RUSTFLAGS:-} $remap"
export CARGO_INCREMENTAL=0 CARGO_PROFILE_RELEASE_OPT_LEVEL=s CARGO_PROFILE_RELEASE_LTO=fat
wasm_say "$here: compiling"
# shellcheck disable=SC2086
wasm_cargo rustc --quiet --locked $features --release --crate-type cdylib
wasm_opt "${CARGO_TARGET_DIR:-target}/wasm32-unknown-unknown/release/regauth_c.wasm" $here/regauth.wasm -Oz
sources >$here/regauth.wasm.sources
wasm_say "$here/regauth.wasm: $(wc -c <$here/regauth.wasm) bytes, $(gzip -9c $here/regauth.wasm | wc -c) compressed"
