#!/bin/sh
# Configure a build folder: `scripts/configure.sh BUILD [CMAKE-OPTION]...`. Says nothing when all is
# well; what CMake says is in BUILD/configure.log. A second time it takes a second, and notices a moved
# cache, another CPU and new files.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

build=$1
shift
log=$build.log

# CMake refuses a folder that was made elsewhere, as one in a copied or moved tree was.
made_at() {
    sed -n 's/^CMAKE_CACHEFILE_DIR:INTERNAL=//p' "$build/CMakeCache.txt"
}
if [ -f "$build/CMakeCache.txt" ] &&
    [ "$(cd "$(made_at)" 2>/dev/null && pwd -P)" != "$(cd "$build" && pwd -P)" ]; then
    say "$build was made at $(made_at); building anew"
    rm -rf "$build"
fi
if [ ! -f "$build/CMakeCache.txt" ] && command -v ninja >/dev/null 2>&1; then
    set -- -G Ninja "$@"
fi
cmake -S "$here/.." -B "$build" "$@" >"$log" || {
    cat "$log" >&2
    rm -f "$log"
    exit 1
}
mv "$log" "$build/configure.log"
