#!/bin/sh
# Builds regauth.wasm, which the package embeds: layer a of the C ABI with importers and identities, for
# wasm32-unknown-unknown. `build.sh --check` builds nothing, and fails when the committed one is older than its sources.
#
# Rust: the target of rustup, which is installed if it can be, or else Debian's rustc-web. wasm-opt: from PATH, or else
# from npm's binaryen, into .tools, which git ignores.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=wasm32-unknown-unknown
arguments="--package regauth-c --no-default-features --features pem,config"

step() { echo "wasm: $*"; }
fail() {
	echo "wasm: $*" >&2
	exit 1
}

# What the module is made of: sources that are in it, and the versions of the packages.
sources() {
	cd "$root"
	{
		git ls-files core/src ffi-c/src core/Cargo.toml ffi-c/Cargo.toml ffi-c/go/build.sh |
			grep -v -e '^core/src/server' -e '^core/src/mint' -e '^core/src/wire' -e tests | LC_ALL=C sort | xargs sha256sum
		# shellcheck disable=SC2086
		cargo tree --quiet --locked $arguments --target $target --edges normal --prefix none --format '{p}' |
			sed 's/ (.*//' | LC_ALL=C sort -u
	} | sha256sum | cut -d ' ' -f 1
}

if [ "${1:-}" = --check ]; then
	[ "$(sources)" = "$(cat "$here/regauth.wasm.sources" 2>/dev/null)" ] ||
		fail "ffi-c/go/regauth.wasm is older than its sources. Build it and commit it: sh ffi-c/go/build.sh"
	step "regauth.wasm is of these sources"
	exit 0
fi

# Where the packages lie on this machine is nobody's business, and would make another module on the next one.
remap="--remap-path-prefix=$root=. --remap-path-prefix=$(rustc --print sysroot)/lib/rustlib/src/rust=rust"
for directory in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
	remap="$remap --remap-path-prefix=$directory=crates"
done
export RUSTFLAGS="${RUSTFLAGS:-} $remap"
export CARGO_INCREMENTAL=0 CARGO_PROFILE_RELEASE_OPT_LEVEL=s CARGO_PROFILE_RELEASE_LTO=fat
built=${CARGO_TARGET_DIR:-$root/target}/$target/release/regauth_c.wasm
cd "$root"
if rustup target list --installed 2>/dev/null | grep -qx $target || rustup target add $target >/dev/null 2>&1; then
	step "building with $(rustc --version)"
	# shellcheck disable=SC2086
	cargo rustc --quiet --locked $arguments --release --target $target --crate-type cdylib
else
	need() { dpkg -s "$1" >/dev/null 2>&1 || packages="$packages $1"; }
	packages=
	for package in rustc-web cargo-web rust-web-src lld-19; do need $package; done
	if [ -n "$packages" ]; then
		[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 ||
			fail "there is no Rust for $target. Install it: rustup target add $target, or as root apt-get install$packages"
		step "installing$packages"
		apt-get update -qq >/dev/null 2>&1 || true
		# shellcheck disable=SC2086
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null ||
			fail "apt-get install failed:$packages"
	fi
	RUSTC=$(dpkg -L rustc-web | grep -m1 'bin/rustc$')
	cargo=$(dpkg -L cargo-web | grep -m1 'bin/cargo$')
	export RUSTC RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19
	step "building with $("$RUSTC" --version), the standard library too"
	# shellcheck disable=SC2086
	"$cargo" rustc --quiet --locked $arguments --release --target $target --crate-type cdylib -Zbuild-std=std,panic_abort
fi

opt=$(command -v wasm-opt || echo "$root/.tools/node_modules/.bin/wasm-opt")
if [ ! -x "$opt" ]; then
	step "installing binaryen from npm"
	npm install --silent --no-save --prefix "$root/.tools" binaryen@132 >/dev/null || fail "npm install binaryen failed"
fi
# Named one by one: with all features it writes what other engines do not read.
"$opt" -Oz --enable-bulk-memory --enable-bulk-memory-opt --enable-sign-ext --enable-mutable-globals \
	--enable-nontrapping-float-to-int --enable-reference-types --enable-multivalue --strip-debug --strip-producers \
	"$built" -o "$here/regauth.wasm"
sources >"$here/regauth.wasm.sources"
step "regauth.wasm: $(wc -c <"$here/regauth.wasm") bytes"
