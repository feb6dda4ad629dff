#!/bin/sh
# What the Python module costs beside its peers, in one run: an optimised build, some minutes the first time.
set -eu
cd "$(dirname "$0")"
what=bench
. ./environment.sh

step "building the module, optimised"
build --release
python tests/bench.py
