#!/bin/sh
# The number of the ABI, which is that of the soname.
sed -n 's/^pub const REGAUTH_ABI: u32 = \([0-9]*\);/\1/p' "$(dirname "$0")/../src/version.rs"
