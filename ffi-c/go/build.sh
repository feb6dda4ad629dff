#!/bin/sh
# Builds the modules for wasm32-unknown-unknown that the package embeds: regauth.wasm, layer a of the C ABI with importers and
# identities; server.wasm, guard, issuer and mint. `build.sh --check` builds nothing, and fails when a committed one is older
# than its sources.
set -eu

cd "$(dirname "$0")/../.."
. bindings-wasm/toolchain.sh
here=ffi-c/go

# What a module is made with, and sources that are not in it.
module() {
	name=$1
	case $name in
	regauth)
		features=pem,config
		others='^core/src/(server|mint|wire)|^ffi-c/src/(server|issuer|signing|mint|subject|tls|work|link|exchange)[.]rs|tests'
		removed=
		;;
	server)
		features=mint
		others='^core/src/(config|wire)|^ffi-c/src/(importer|helper|pem|tls|work|link|exchange)[.]rs|tests'
		# What the ABI cannot be built without, and nobody calls here.
		removed='agent_* authorize challenges_* config_* diagnose endpoints_* evidence_* flow_* identity_* origin_* profile_*
			reference_* referrer_* scope_*'
		;;
	esac
	features="--package regauth-c --no-default-features --features $features"
}

# What the module is made of: sources that are in it, and the versions of the packages.
sources() {
	{
		git ls-files core/src ffi-c/src core/Cargo.toml ffi-c/Cargo.toml ffi-c/go/build.sh bindings-wasm/toolchain.sh |
			grep -Ev "$others" | LC_ALL=C sort | xargs sha256sum
		# shellcheck disable=SC2086
		cargo tree --quiet --locked $features --target wasm32-unknown-unknown --edges normal --prefix none --format '{p}' |
			sed 's/ (.*//' | LC_ALL=C sort -u
	} | sha256sum | cut -d ' ' -f 1
}

if [ "${1:-}" = --check ]; then
	for each in regauth server; do
		module $each
		[ "$(sources)" = "$(cat $here/$name.wasm.sources 2>/dev/null)" ] ||
			fail "$here/$name.wasm is older than its sources. Build it and commit it: sh $here/build.sh"
		step "$here/$name.wasm is of these sources"
	done
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
for each in regauth server; do
	module $each
	step "$here/$name.wasm: compiling"
	# shellcheck disable=SC2086
	wasm_cargo rustc --quiet --locked $features --release --crate-type cdylib
	set -f
	set --
	for pattern in $removed; do
		set -- "$@" "--remove-exports=regauth_$pattern"
	done
	set +f
	wasm_opt "${CARGO_TARGET_DIR:-target}/wasm32-unknown-unknown/release/regauth_c.wasm" $here/$name.wasm "$@" -Oz
	sources >$here/$name.wasm.sources
	step "$here/$name.wasm: $(wc -c <$here/$name.wasm) bytes, $(gzip -9c $here/$name.wasm | wc -c) compressed"
done
