#!/bin/sh
# Installs the static library with only the functions of the header to be seen. A Rust library is made of some hundred
# object files that see each other's symbols: two of them in one program would clash over those of the standard library.
set -eu
from=$1 to=$2 header=$3

if [ "$(uname -s)" = Darwin ] || ! command -v objcopy >/dev/null 2>&1; then
	install -m 644 "$from" "$to"
	exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed -n 's/^.*\(regauth_[a-z0-9_]*\)(.*$/\1/p' "$header" | grep -v -e '_fn$' -e '^regauth_length$' -e '^regauth_text$' |
	sort -u >"$work/names"
# One object of what these functions need, and nothing else.
# shellcheck disable=SC2046
ld -r --gc-sections $(sed 's/^/-u /' "$work/names") -o "$work/regauth.o" "$from"
# Rust's own library carries bitcode, which ar's plugin for LLVM cannot read once it is joined.
objcopy --strip-debug --remove-section=.llvmbc --remove-section=.llvmcmd --keep-global-symbols="$work/names" \
	"$work/regauth.o"
rm -f "$to"
ar rcs "$to" "$work/regauth.o"
chmod 644 "$to"
