#!/bin/sh
# Build a configured build folder: `scripts/build.sh BUILD JOBS [TARGET]...`. Steps become one progress
# line; warnings and errors are shown as they come; nothing is said when there is nothing to do. The
# whole output is in BUILD/build.log.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

build=$1 jobs=$2
shift 2
title=${1:-inference}
case $title in products | inference_command) title=inference ;; esac
rm -f "$build/build.log" "$build/build.ok"
{
    cmake --build "$build" -j "$jobs" ${1:+--target "$@"} 2>&1 && : >"$build/build.ok"
} | watch_build "building $title" "$build/build.log" show
[ -f "$build/build.ok" ] || die "the build failed; the whole output is in $build/build.log"
rm -f "$build/build.ok"
