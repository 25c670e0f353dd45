#!/bin/sh
# clang-format over every C and C++ file of the tree: `scripts/clang-format.sh` rewrites them,
# `--check` only says which differ. Versions format differently, so one is pinned, fetched once into
# the cache.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

VERSION=18.1.8
# The wheels for x86_64 and for aarch64.
HASHES='--hash=sha256:2de122b8aa78ba49e326f974131caab2c79f4ae877c227cd4e3e5d82a98d21e5 --hash=sha256:d2db077523bd4517b41fa6adb2e5ee63fc91bc7b641dc6e28b959fa8050cf41b'

tool=$(cache_dir)/tools/clang-format-$VERSION

install_tool() {
    [ ! -d "$tool" ] || return 0
    rm -rf "$tool.tmp"
    mkdir -p "$tool.tmp"
    say "fetching clang-format $VERSION"
    printf 'clang-format==%s %s\n' "$VERSION" "$HASHES" >"$tool.tmp/pin.txt"
    if ! python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --no-deps --require-hashes --target "$tool.tmp/wheel" -r "$tool.tmp/pin.txt" \
        >"$tool.tmp/log" 2>&1; then
        tail -n 5 "$tool.tmp/log" >&2
        die "clang-format $VERSION cannot be fetched; is pip there, and the network?"
    fi
    mv "$tool.tmp" "$tool"
}

mkdir -p "${tool%/*}"
[ -d "$tool" ] || with_lock "$tool.lock" install_tool
program=$(find "$tool/wheel" -path '*data/bin/clang-format' -type f | head -n 1)
[ -n "$program" ] || die "no clang-format in $tool; remove that folder and run this again"

cd "$here/.."
sources() {
    find include src tests fuzz bench examples -type f \
        \( -name '*.c' -o -name '*.h' -o -name '*.cpp' \) -print0 2>/dev/null || true
}
if [ "${1:-}" = --check ]; then
    sources | xargs -0 "$program" --dry-run --Werror --ferror-limit=1
else
    sources | xargs -0 "$program" -i
fi
