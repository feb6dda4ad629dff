#!/bin/sh
# Tests the Python module in a virtual environment of its own, .tools/python, which git ignores: pytest against real
# servers, doctests, mypy, stubtest. PYTHON names another interpreter than python3.
set -eu
cd "$(dirname "$0")"
root=$(cd .. && pwd)
venv=$root/.tools/python

what=python
. "$root/tests/steps.sh"

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
	fail "Python 3.11 or newer is missing. Install it, or name it: make test-python PYTHON=python3.12"
if [ ! -x "$venv/bin/python" ]; then
	step "making a virtual environment in .tools/python"
	mkdir -p "$root/.tools"
	"$python" -m venv "$venv" || fail "no virtual environment. Debian: apt-get install python3-venv"
fi
packages="maturin>=1.8,<2 httpx>=0.27 requests>=2.32 rich>=13 certifi pytest>=8 mypy>=1.13 types-requests aiohttp>=3.10"
if [ "$(cat "$venv/packages" 2>/dev/null)" != "$packages" ]; then
	step "installing maturin, pytest, mypy, httpx, requests, rich and aiohttp"
	# shellcheck disable=SC2086
	"$venv/bin/pip" install --quiet --disable-pip-version-check $packages || fail "pip install failed: $packages"
	echo "$packages" >"$venv/packages"
fi
PATH=$venv/bin:$PATH
export VIRTUAL_ENV="$venv" PATH

step "building the module"
maturin develop --quiet >"$venv/build.log" 2>&1 || {
	tail -20 "$venv/build.log" >&2
	fail "the build failed. Try by hand: cd bindings-python && maturin develop"
}
step "pytest, doctests included"
python -m pytest "$@"
step "mypy --strict"
python -m mypy
step "stubtest"
python -m mypy.stubtest regauth
