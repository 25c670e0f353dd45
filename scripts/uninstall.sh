#!/bin/sh
# Remove what `make install` puts below PREFIX and DESTDIR: `scripts/uninstall.sh BUILD`. What that is,
# an installation into an empty folder tells. Of folders, those of our own name go when they are empty.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

build=$1 target=${DESTDIR:-}
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
trap 'exit 130' INT TERM HUP

DESTDIR=$stage cmake --install "$build" ${PREFIX:+--prefix "$PREFIX"} >"$stage.log" 2>&1 || {
    cat "$stage.log" >&2
    rm -f "$stage.log"
    die "cannot tell what is installed; run make first"
}
rm -f "$stage.log"
cd "$stage"
count=0
find . ! -type d >files.txt
while read -r file; do
    [ "$file" != ./files.txt ] || continue
    if [ -e "$target${file#.}" ] || [ -L "$target${file#.}" ]; then
        rm -f "$target${file#.}" || die "cannot remove $target${file#.}"
        count=$((count + 1))
    fi
done <files.txt
find . -depth -type d -name 'inference*' | while read -r folder; do
    rmdir "$target${folder#.}" 2>/dev/null || true
done
say "removed $count files"
