# What the scripts here have in common: a virtual environment, .tools/python, which git ignores, with what builds and tests
# the module. Source it, with `what` set as for tests/steps.sh. PYTHON names another interpreter than python3.
root=$(cd .. && pwd)
venv=$root/.tools/python
. "$root/tests/steps.sh"

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
	fail "Python 3.11 or newer is missing. Install it, or name another: PYTHON=python3.12"
version=$("$python" -c 'import sys; print(sys.version)')
if [ "$(cat "$venv/version" 2>/dev/null)" != "$version" ]; then
	step "making a virtual environment in .tools/python"
	mkdir -p "$root/.tools"
	"$python" -m venv --clear "$venv" || fail "no virtual environment. Debian: apt-get install python3-venv"
	echo "$version" >"$venv/version"
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

# Builds the module into that environment; its arguments are maturin's.
build() {
	maturin develop --quiet "$@" >"$venv/build.log" 2>&1 || {
		tail -20 "$venv/build.log" >&2
		fail "the build failed. Try by hand: cd bindings-python && maturin develop $*"
	}
}
