#!/bin/sh
# Tests the Python module: pytest against real servers, doctests, mypy, stubtest. PYTHON names another interpreter than
# python3.
set -eu
cd "$(dirname "$0")"
what=python
. ./environment.sh

step "building the module"
build
step "pytest, doctests included"
python -m pytest "$@"
step "mypy --strict"
python -m mypy
step "stubtest"
python -m mypy.stubtest regauth
