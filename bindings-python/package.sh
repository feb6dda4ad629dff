#!/bin/sh
# Installs the module as people do, from the tree and from the sdist, each into a fresh virtual environment, and lets the
# README's script and the command run there. Optimised builds: some minutes. Says how large wheel and sdist are.
set -eu
cd "$(dirname "$0")"
root=$(cd .. && pwd)
tools=$root/.tools/python/bin
[ -x "$tools/maturin" ] || { echo "package: run make test-python first" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step() { echo "package: $*"; }

step "making the sdist"
"$tools/maturin" sdist --out "$work" >"$work/log" 2>&1 || {
	cat "$work/log" >&2
	exit 1
}
sdist=$(ls "$work"/*.tar.gz)
step "sdist: $(wc -c <"$sdist") bytes"
for source in . "$sdist"; do
	step "installing ${source##*/} into a fresh environment"
	python=$work/venv/bin/python
	rm -rf "$work/venv"
	"${PYTHON:-python3}" -m venv "$work/venv"
	(cd "$work" && case $source in .) from=$root/bindings-python ;; *) from=$source ;; esac &&
		"$python" -m pip install --quiet --disable-pip-version-check "$from[httpx,requests,cli]")
	REGAUTH_PYTHON=$python "$tools/python" -m pytest tests/test_readme.py
	"$work/venv/bin/regauth" --help >/dev/null
	"$python" -m regauth lint >/dev/null
	step "the extension module: $(wc -c <"$(find "$work/venv" -name '_core*.so')") bytes"
done
step "good"
