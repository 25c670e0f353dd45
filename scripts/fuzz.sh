#!/bin/sh
# Each fuzz target of a build folder for some seconds, one after another. New inputs go to
# BUILD/corpus/TARGET, inputs that crash to BUILD/crash-*; the committed corpus is only read.
# usage: scripts/fuzz.sh BUILD SECONDS [TARGET]...
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
build=$1 seconds=$2
shift 2
[ $# -gt 0 ] || set -- $(cd "$build/fuzz" && find . -maxdepth 1 -name 'fuzz-*' -type f | sed 's,./fuzz-,,' | sort)

status=0
for target in "$@"; do
    echo "fuzzing $target for $seconds s" >&2
    mkdir -p "$build/corpus/$target"
    "$build/fuzz/fuzz-$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$build/crash-$target-" -print_final_stats=1 \
        "$build/corpus/$target" "$here/fuzz/corpus/$target" || status=1
done
exit $status
