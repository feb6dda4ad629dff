#!/bin/sh
# Installs the module as people do, from the tree and from the sdist, each into a fresh virtual environment, and lets the
# README's script, the command and its doctor run there. Optimised builds: some minutes. Says how large wheel and sdist are.
set -eu
cd "$(dirname "$0")"
what=package
. ./environment.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step "making the sdist"
maturin sdist --out "$work" >"$work/log" 2>&1 || {
	cat "$work/log" >&2
	exit 1
}
sdist=$(ls "$work"/*.tar.gz)
step "sdist: $(wc -c <"$sdist") bytes"
for source in . "$sdist"; do
	step "installing ${source##*/} into a fresh environment"
	fresh=$work/venv/bin
	rm -rf "$work/venv"
	"$python" -m venv "$work/venv"
	(cd "$work" && case $source in .) from=$root/bindings-python ;; *) from=$source ;; esac &&
		"$fresh/python" -m pip install --quiet --disable-pip-version-check "$from[httpx,requests,cli]")
	"$fresh/python" -m pip install --quiet --disable-pip-version-check pytest
	"$fresh/python" -m pytest -s tests/test_readme.py tests/test_doctor.py
	"$fresh/regauth" --help >/dev/null
	"$fresh/python" -m regauth lint >/dev/null
	step "the extension module: $(wc -c <"$(find "$work/venv" -name '_core*.so')") bytes"
done
step "good"
