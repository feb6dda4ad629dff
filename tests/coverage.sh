#!/bin/sh
# The share of the core's lines that its own tests and the vectors reach, without real servers: a table of files, the
# worst first, and a total. Lines of test modules count for nothing. `sh tests/coverage.sh core/src/wire/body.rs`: the
# lines of that file that are not reached.
set -eu
cd "$(dirname "$0")/.."

what=coverage
. ./tests/steps.sh
tools=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin
if ! [ -x "$tools/llvm-cov" ]; then
	step "llvm-tools of the compiler: installing, half a minute"
	rustup component add llvm-tools >/dev/null 2>&1 ||
		fail "llvm-tools is missing. Install it: rustup component add llvm-tools"
fi
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/coverage"
mkdir -p "$CARGO_TARGET_DIR/profiles"
at=$(cd "$CARGO_TARGET_DIR" && pwd)
if [ $# = 0 ]; then
	step "building and running the tests, some minutes"
	rm -f "$at"/profiles/*
	# Only crates of the workspace are looked at.
	printf '#!/bin/sh\nexec "$@" -C instrument-coverage\n' >"$at/wrapper"
	chmod +x "$at/wrapper"
	export RUSTC_WORKSPACE_WRAPPER="$at/wrapper" LLVM_PROFILE_FILE="$at/profiles/%p-%m.profraw"
	cargo test --package regauth --features server,mint --all-targets >"$at/log" 2>&1 || {
		grep -v '^test .* ok$' "$at/log" >&2
		exit 1
	}
	cargo run --quiet --package regauth --example vectors -- tests/vectors/*.jsonl >>"$at/log"
	"$tools/llvm-profdata" merge --sparse --output "$at/merged" "$at"/profiles/*.profraw
fi
programs=$(sed -n 's/^ *Running .*(\(.*\))$/--object \1/p' "$at/log" | tr '\n' ' ')
if [ $# -gt 0 ]; then
	# shellcheck disable=SC2086
	"$tools/llvm-cov" show --instr-profile "$at/merged" $programs --sources "$@" | grep -E '^ *[0-9]+\| +0\|'
	exit
fi
# shellcheck disable=SC2086
"$tools/llvm-cov" export --format lcov --skip-functions --instr-profile "$at/merged" $programs --sources "$PWD/core/src" |
	awk -F '[:,]' -v here="$PWD/" '
		/^SF:/ {
			file = $2
			sub(here, "", file)
			# Where the tests of a file begin.
			tests = file ~ /_tests\.rs$/ ? 1 : 0
			for (n = 1; !tests && (getline line < $2) > 0; n++) if (line ~ /^mod tests/) tests = n
			close($2)
		}
		/^DA:/ && (!tests || $2 < tests) { lines[file]++; reached[file] += $3 > 0 }
		END {
			for (file in lines) {
				all += lines[file]; good += reached[file]
				missed = lines[file] - reached[file]
				printf "%6.1f %%, %4d of %4d not reached  %s\n", 100 * reached[file] / lines[file], missed, lines[file], file | "sort -n"
			}
			close("sort -n")
			printf "%6.2f %% of %d lines\n", 100 * good / all, all
		}'
