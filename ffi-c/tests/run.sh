#!/bin/sh
# All tests of C: builds the library, installs it into a temporary directory, compiles examples and tests against that
# as a user would, and runs the tests under the sanitizers and under valgrind. Installs what it lacks.
#
# PROFILE=release tests the library that is shipped, BUILT=DIRECTORY one that is built already; FAST=1 leaves valgrind
# out, SOAK is a number of flows.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
root=$(cd "$here/.." && pwd)
cc=${CC:-gcc}
profile=${PROFILE:-dev}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

what=ffi-c
. "$root/tests/steps.sh"

debian "$cc=gcc" g++=g++ make=make pkg-config=pkg-config cmake=cmake valgrind=valgrind \
	jansson.pc=libjansson-dev libcurl.pc=libcurl4-openssl-dev libssl.pc=libssl-dev

prefix=$work/prefix
make -s --no-print-directory -C "$here" install symbols PREFIX="$prefix" PROFILE="$profile"
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
version=$(pkg-config --modversion regauth)
warn="-std=c11 -Wall -Wextra -Wpedantic -Werror -g"
# shellcheck disable=SC2046
static="$(pkg-config --cflags regauth) $prefix/lib/libregauth.a $(pkg-config --static --libs-only-l regauth | sed 's/-lregauth//')"

step "header as C and as C++, examples by pkg-config and by CMake"
printf '#include <regauth.h>\nint main(void) { return regauth_abi() != REGAUTH_ABI; }\n' >"$work/hello.c"
# shellcheck disable=SC2046
g++ -x c++ -Wall -Wextra -Werror $(pkg-config --cflags regauth) -fsyntax-only "$work/hello.c"
# shellcheck disable=SC2046,SC2086
for example in pull pull_curl; do
	libraries=regauth
	[ "$example" = pull ] || libraries="regauth libcurl"
	$cc $warn "$here/examples/$example.c" $(pkg-config --cflags --libs $libraries) -o "$work/$example"
	LD_LIBRARY_PATH=$prefix/lib "$work/$example" >/dev/null 2>&1 && fail "$example without arguments should fail"
	LD_LIBRARY_PATH=$prefix/lib ldd "$work/$example" | grep -q "libregauth.so.$("$here/packaging/abi.sh")" ||
		fail "$example does not ask for the soname"
done
mkdir "$work/cmake"
cat >"$work/cmake/CMakeLists.txt" <<-END
	cmake_minimum_required(VERSION 3.16)
	project(hello C)
	find_package(regauth ${version%.*} REQUIRED)
	foreach(kind regauth static)
	  add_executable(hello-\${kind} $work/hello.c)
	  target_link_libraries(hello-\${kind} regauth::\${kind})
	  add_test(NAME hello-\${kind} COMMAND hello-\${kind})
	endforeach()
	enable_testing()
END
cmake -S "$work/cmake" -B "$work/cmake/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1 &&
	cmake --build "$work/cmake/build" >>"$work/log" 2>&1 || {
	tail -20 "$work/log" >&2
	fail "CMake"
}
"$work/cmake/build/hello-regauth" && "$work/cmake/build/hello-static" || fail "the programs of CMake"

# What a test is made of beside its own file, and how it is called.
libraries_of() {
	case $1 in
	vectors) echo "$here/tests/vectors_flow.c $(pkg-config --cflags --libs jansson)" ;;
	tls | server) pkg-config --cflags --libs libssl libcrypto ;;
	esac
}
arguments_of() {
	case $1 in
	vectors) echo "$root"/tests/vectors/*.jsonl ;;
	esac
}
tests="abi words config files flow wake misuse exchange tls server vectors"

# shellcheck disable=SC2046,SC2086
build() {
	for test in $tests; do
		$cc $warn -Wno-pedantic "$@" "-DVERSION=\"$version\"" "$here/tests/$test.c" $static $(libraries_of $test) \
			-o "$work/$test"
	done
}

step "tests under the address, leak and undefined behaviour sanitizers: $tests"
build -fsanitize=address,undefined -fno-sanitize-recover=all
nm "$work/abi" | grep -q __asan_init || fail "the address sanitizer is not in"
for test in $tests; do
	# shellcheck disable=SC2046
	ASAN_OPTIONS=detect_leaks=1 "$work/$test" $(arguments_of "$test") >"$work/out" 2>&1 || {
		tail -40 "$work/out" >&2
		fail "$test failed"
	}
done
tail -1 "$work/out"

if [ -z "${FAST:-}" ]; then
	step "tests under valgrind"
	build -O1
	for test in $tests; do
		# shellcheck disable=SC2046
		valgrind -q --error-exitcode=9 --suppressions="$here/tests/valgrind.supp" --leak-check=full --errors-for-leak-kinds=definite,indirect,possible \
			"$work/$test" $(arguments_of "$test") >"$work/out" 2>&1 || {
			tail -60 "$work/out" >&2
			fail "$test failed under valgrind"
		}
	done
fi

step "a soak of ${SOAK:-20000} flows, with the allocator counted"
# shellcheck disable=SC2086
$cc $warn -O2 "$here/tests/bench.c" $static \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=posix_memalign,--wrap=free -o "$work/bench"
"$work/bench" "${SOAK:-20000}"
step "all good"
