# Which compiler makes WebAssembly here. Source it: `. bindings-wasm/toolchain.sh` from the root of the tree.
#
# Standard libraries for wasm come from rustup where it can fetch them; else Debian's compiler builds them from its own
# sources (-Zbuild-std). What is built is found at the same place either way:
#   ${CARGO_TARGET_DIR:-target}/<target>/<profile>/<crate>.wasm
#
#   wasm_target TARGET          chooses, and installs what is missing: wasm32-unknown-unknown or wasm32-wasip1
#   wasm_own_std                a standard library of the module's own, where bytes count; after wasm_target
#   wasm_clang                  a C compiler for wasm, which ring needs; before wasm_cargo
#   wasm_cargo build|test ...   cargo with that compiler, --target included
#   wasm_opt IN OUT FLAG...     wasm-opt (npm package binaryen) with exactly the features that the compiler used
#
# WASM_TOOLCHAIN=rustup or debian takes one of them and no other.

what=wasm
wasm_root=$(pwd)
[ -f "$wasm_root/bindings-wasm/toolchain.sh" ] || {
	echo "wasm: source bindings-wasm/toolchain.sh from the root of the tree" >&2
	exit 1
}
. "$wasm_root/tests/steps.sh"
wasm_tools=$wasm_root/.tools/wasm

wasm_target() {
	wasm_name=$1 wasm_std='' wasm_flags=''
	if [ "${WASM_TOOLCHAIN:-rustup}" = rustup ] && command -v rustup >/dev/null 2>&1; then
		if rustup target list --installed 2>/dev/null | grep -qx "$wasm_name"; then
			wasm_from=rustup
			return 0
		fi
		step "rustup: adding $wasm_name"
		if rustup target add "$wasm_name" >/dev/null 2>&1; then
			wasm_from=rustup
			return 0
		fi
		step "rustup has no $wasm_name for this compiler"
	fi
	[ "${WASM_TOOLCHAIN:-debian}" = debian ] || fail "rustup cannot add $wasm_name"
	step "taking Debian's compiler, which builds the standard library too (one to three minutes the first time)"
	debian rustc-web cargo-web rust-web-src lld-19 clang-19 llvm-19
	[ "$wasm_name" != wasm32-wasip1 ] || debian wasi-libc libclang-rt-19-dev-wasm32
	wasm_from=debian
}

# Built for size, and a panic is a trap without a text: a tenth of the compressed module less. Needs the sources of the
# standard library, rustup's component rust-src; without them modules get the library that rustup has built.
wasm_own_std() {
	wasm_std="-Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size"
	wasm_flags="-Zunstable-options -Cpanic=immediate-abort"
	[ "$wasm_from" = rustup ] || return 0
	wasm_sources=$(rustc --print sysroot)/lib/rustlib/src/rust/library
	if [ ! -d "$wasm_sources" ]; then
		step "rustup: adding rust-src"
		rustup component add rust-src >/dev/null 2>&1 || true
	fi
	# shellcheck disable=SC2086
	if RUSTC_BOOTSTRAP=1 rustc $wasm_flags --print cfg >/dev/null 2>&1 &&
		RUSTC_BOOTSTRAP=1 cargo fetch --quiet --locked --manifest-path "$wasm_sources/Cargo.toml" >/dev/null 2>&1; then
		step "the standard library is built too (one to three minutes the first time)"
		return 0
	fi
	step "no sources of the standard library for this compiler (rustup component add rust-src): the module gets larger"
	wasm_std='' wasm_flags=''
}

wasm_clang() {
	for wasm_cc in clang-19 clang; do
		command -v "$wasm_cc" >/dev/null 2>&1 && break
		wasm_cc=
	done
	if [ -z "$wasm_cc" ]; then
		debian clang-19 llvm-19
		wasm_cc=clang-19
	fi
	wasm_ar=llvm-ar${wasm_cc#clang}
	command -v "$wasm_ar" >/dev/null 2>&1 || debian llvm-19
	export CC_wasm32_unknown_unknown="$wasm_cc" AR_wasm32_unknown_unknown="$wasm_ar"
}

wasm_cargo() {
	wasm_verb=$1
	shift
	(
		export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="${CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS:-} $wasm_flags"
		if [ "$wasm_from" = rustup ]; then
			[ -z "$wasm_std" ] || export RUSTC_BOOTSTRAP=1
			# shellcheck disable=SC2086
			cargo "$wasm_verb" --target "$wasm_name" $wasm_std "$@"
			exit
		fi
		# Not rustup's shims, which are before them in PATH.
		RUSTC=$(dpkg -L rustc-web | grep -m1 'bin/rustc$')
		wasm_bin=$(dpkg -L cargo-web | grep -m1 'bin/cargo$')
		export RUSTC RUSTC_BOOTSTRAP=1
		export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19 CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld-19
		if [ "$wasm_name" = wasm32-wasip1 ]; then
			wasm_libc=$(dirname "$(dpkg -L wasi-libc | grep -m1 '/wasm32-wasi/libc.a$')")
			export CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-L native=$wasm_libc"
		fi
		# shellcheck disable=SC2086
		"$wasm_bin" "$wasm_verb" --target "$wasm_name" ${wasm_std:--Zbuild-std=std,panic_abort} "$@"
	)
}

# The features are named one by one: with --all-features wasm-opt writes modules that no host takes.
wasm_opt() {
	wasm_in=$1 wasm_out=$2
	shift 2
	if [ ! -x "$wasm_tools/node_modules/.bin/wasm-opt" ]; then
		command -v npm >/dev/null 2>&1 || fail "npm is missing: install Node 20 or newer"
		step "installing binaryen (wasm-opt) from npm"
		mkdir -p "$wasm_tools"
		npm install --prefix "$wasm_tools" --no-save --no-audit --no-fund --loglevel=error binaryen@132.0.0 >&2 ||
			fail "npm could not install binaryen"
	fi
	"$wasm_tools/node_modules/.bin/wasm-opt" "$wasm_in" -o "$wasm_out" "$@" --strip-debug --strip-producers \
		--enable-bulk-memory --enable-bulk-memory-opt --enable-sign-ext --enable-mutable-globals \
		--enable-nontrapping-float-to-int --enable-reference-types --enable-multivalue
}
