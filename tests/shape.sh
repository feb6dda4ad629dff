#!/bin/sh
# What a look at the tree should never find; run by `make lint`.
set -eu
cd "$(dirname "$0")/.."
bad=0
say() { echo "shape: $*" >&2; bad=1; }

for file in $(git ls-files '*.rs' '*.py' '*.go' '*.c' '*.ts' '*.js' | grep -v -e '/tests/' -e '^tests/' -e generated); do
	lines=$(wc -l <"$file")
	[ "$lines" -le 500 ] || say "$file has $lines lines: a file has to fit in a head (500)"
done
for file in $(git ls-files 'core/src/*.rs' | grep -v '^core/src/tls/' | xargs grep -l 'rustls::' 2>/dev/null || true); do
	say "$file names rustls: only core/src/tls does"
done
for file in $(git ls-files 'core/src/*.rs' | xargs grep -lE 'todo!\(|unimplemented!\(|FIXME|XXX' 2>/dev/null || true); do
	say "$file is not finished"
done
[ "$bad" = 0 ] && echo "shape: good"
exit "$bad"
