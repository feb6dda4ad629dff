#!/bin/sh
# Builds all fuzz targets once and runs each for SECONDS_EACH seconds (30) from its committed seeds; one line a target,
# and exit 1 if one found something. TARGETS="flow tls" runs these only, JOBS=2 as many at the same time, SEED=1 always with
# this seed of libFuzzer's, so that a run which finds something can be had again; without it each run looks elsewhere.
#
# It does what cargo-fuzz does, with the same flags, and saves the two minutes of installing that: the targets link
# libFuzzer from the crate `libfuzzer-sys`. `cargo fuzz run TARGET` in `core` works too, where it is installed.
set -eu
cd "$(dirname "$0")"
seconds=${SECONDS_EACH:-30}
jobs=${JOBS:-1}
# shellcheck disable=SC2012
targets=${TARGETS:-$(ls fuzz_targets | sed 's/\.rs$//')}

what=fuzz
. ../../tests/steps.sh

command -v rustup >/dev/null 2>&1 || fail "rustup is missing. Install it (https://rustup.rs); the sanitizers need a nightly compiler"
command -v c++ >/dev/null 2>&1 || fail "a C++ compiler is missing, libFuzzer is built with it. Install it: apt-get install g++"
if ! rustc +nightly --version >/dev/null 2>&1; then
	step "nightly Rust: installing, about a minute"
	rustup toolchain install nightly --profile minimal --no-self-update >/dev/null 2>&1 ||
		fail "nightly Rust is missing. Install it: rustup toolchain install nightly --profile minimal"
fi

host=$(rustc +nightly -vV | sed -n 's/^host: //p')
out=${CARGO_TARGET_DIR:-target}
# AddressSanitizer, and the counters that libFuzzer steers by. With --target, so that build scripts have none of it.
RUSTFLAGS="--cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
-Cforce-frame-pointers"
export RUSTFLAGS
# libFuzzer itself is not what is tested: without this it is built with the sanitizer too, and takes most of the time.
export CXXFLAGS="-O2 -fno-sanitize=all"
# Nothing here is unsafe code, so short stacks of allocations do.
export ASAN_OPTIONS="malloc_context_size=4:detect_stack_use_after_return=0"
if [ -z "${BUILT:-}" ]; then
	step "building with $(rustc +nightly --version | cut -d ' ' -f 2), two minutes the first time"
	log=$(mktemp)
	cargo +nightly build --quiet --release --locked --bins --target "$host" >"$log" 2>&1 || {
		cat "$log" >&2
		fail "the targets do not build"
	}
	rm -f "$log"
fi

# One target: new inputs go to corpus/, which is not committed; a finding is written to artifacts/.
one() {
	target=$1
	mkdir -p "corpus/$target" "seeds/$target" "artifacts/$target"
	log=artifacts/$target.log
	if "$out/$host/release/$target" "corpus/$target" "seeds/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
		-max_len="${MAX_LEN:-4096}" -seed="${SEED:-0}" -artifact_prefix="artifacts/$target/" -print_final_stats=1 >"$log" 2>&1; then
		result=good
	else
		result="FOUND: $(ls -t "artifacts/$target" | head -1), see core/fuzz/$log"
		# What went wrong, and the input itself where it is short: the file may be on a machine that is gone tomorrow.
		grep -a -A 2 -e ' panicked at ' -e '^==.*ERROR' "$log" | cut -c 1-1000 >&2 || true
		(cd "artifacts/$target" && ls -t | head -1 | xargs base64 -w 0 | cut -c 1-6000) >&2
	fi
	stat() { sed -n "s/^stat::$1: *//p" "$log"; }
	first=$(sed -n 's/.*INITED cov: \([0-9]*\).*/\1/p' "$log" | head -1)
	last=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$log" | tail -1)
	step "$target: $(stat number_of_executed_units) execs, $(stat average_exec_per_sec)/s," \
		"$((${last:-0} - ${first:-0})) new of ${last:-0} edges, $result"
	[ "$result" = good ]
}

bad=0
if [ "$jobs" -gt 1 ]; then
	export SECONDS_EACH="$seconds" JOBS=1 BUILT=1
	for target in $targets; do echo "$target"; done | xargs -P "$jobs" -I @ env TARGETS=@ sh ./run.sh || bad=1
else
	for target in $targets; do one "$target" || bad=1; done
fi
[ "$bad" = 0 ] || fail "something was found"
