#!/bin/sh
# The functions the header declares, cmake/exported-symbols.txt and the library's exports are one
# list. `scripts/check-symbols.sh LIBRARY` compares, `scripts/check-symbols.sh --write` makes the
# file anew from the header; its diff in review is the change of the ABI.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
list=$here/cmake/exported-symbols.txt
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# INF_API declarations, comments gone; a declaration may go over several lines.
sed -e 's,//.*,,' "$here/include/inference/inference.h" | tr '\n' ' ' |
    sed -e 's,/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/,,g' -e 's/INF_API/\n&/g' |
    sed -n -e 's/^INF_API[^(;]*[ *]\(inf_[a-z0-9_]*\)(.*/\1/p' | LC_ALL=C sort -u >"$scratch/header"

if [ "${1:-}" = --write ]; then
    cp "$scratch/header" "$list"
    exit
fi
[ -f "${1:-}" ] || { echo "usage: scripts/check-symbols.sh LIBRARY | --write" >&2 && exit 2; }
nm -D --defined-only "$1" | sed -e 's/.* //' -e 's/@.*//' | LC_ALL=C sort -u >"$scratch/library"

status=0
compare() {
    if ! diff -u --label "$1" --label "$3" "$2" "$4"; then
        echo "$1 and $3 differ: + is only in $3" >&2
        status=1
    fi
}
compare "include/inference/inference.h" "$scratch/header" "cmake/exported-symbols.txt" "$list"
compare "cmake/exported-symbols.txt" "$list" "${1##*/}" "$scratch/library"
[ -s "$scratch/library" ] || { echo "$1 exports nothing" >&2 && status=1; }
exit $status
