#!/bin/sh
# What the libraries in a directory export is what the header declares.
set -eu
libdir=$1 header=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed -n 's/^.*\(regauth_[a-z0-9_]*\)(.*$/\1/p' "$header" | grep -v -e '_fn$' -e '^regauth_length$' -e '^regauth_text$' |
	sort -u >"$work/header"
nm -D --defined-only "$libdir/libregauth.so" | awk '{print $3}' | sort -u >"$work/shared"
nm -g --defined-only "$libdir/libregauth.a" 2>/dev/null | awk 'NF == 3 {print $3}' | sort -u >"$work/static"
for kind in shared static; do
	if ! diff "$work/header" "$work/$kind" >"$work/diff"; then
		echo "symbols: the $kind library is not what the header says (<: only in the header):" >&2
		head -20 "$work/diff" >&2
		exit 1
	fi
done
soname=$(readelf -d "$libdir/libregauth.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
abi=$(sed -n 's/^#define REGAUTH_ABI \([0-9]*\)/\1/p' "$header")
[ "$soname" = "libregauth.so.$abi" ] || {
	echo "symbols: the soname is $soname and the ABI $abi" >&2
	exit 1
}
echo "symbols: $(wc -l <"$work/header") functions, soname $soname, nothing else exported"
