#!/bin/sh
# Puts into seeds/TARGET/ a small set of inputs that reaches all that corpus/TARGET/ and seeds/TARGET/ reach; needs the
# targets built by run.sh. TARGETS="flow tls": these only.
set -eu
cd "$(dirname "$0")"
programs=${CARGO_TARGET_DIR:-target}/$(rustc +nightly -vV | sed -n 's/^host: //p')/release
MOST=100
# shellcheck disable=SC2012
for target in ${TARGETS:-$(ls fuzz_targets | sed 's/\.rs$//')}; do
	mkdir -p "seeds/$target" "corpus/$target" picked
	"$programs/$target" -set_cover_merge=1 -use_counters=0 -max_len=1500 picked "seeds/$target" "corpus/$target" >/dev/null 2>&1
	# The first ones written reach the most.
	(cd picked && ls -tr | tail -n +$((MOST + 1)) | xargs -r rm)
	rm -rf "seeds/$target"
	mv picked "seeds/$target"
	echo "pick: $target: $(ls "seeds/$target" | wc -l) inputs, $(cat "seeds/$target"/* | wc -c) bytes"
done
