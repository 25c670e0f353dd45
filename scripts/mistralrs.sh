#!/bin/sh
# Build bench/mistralrs, the program that runs mistral.rs for the benchmarks, in the cache: its crates come
# from crates.io, some 600, which take an hour of one core the first time. Prints the program.
#
#   scripts/mistralrs.sh [--jobs N]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
[ "${1:-}" != --jobs ] || jobs=$2
command -v cargo >/dev/null 2>&1 || die "cargo not found: mistral.rs needs Rust (https://rustup.rs)"

folder=$(cache_dir)/mistralrs
mkdir -p "$folder/src"
# Where they are the same their times stay, and cargo has nothing to do. Cargo.lock is beside them.
for file in Cargo.toml src/main.rs; do
    cmp -s "$here/../bench/mistralrs/$file" "$folder/$file" || cp "$here/../bench/mistralrs/$file" "$folder/$file"
done

build() {
    RUSTFLAGS="-C target-cpu=native" CARGO_TARGET_DIR=$folder/target \
        cargo build --quiet --release --jobs "$jobs" --manifest-path "$folder/Cargo.toml" >&2 ||
        die "mistral.rs does not build"
}

[ -x "$folder/target/release/mistralrs-peer" ] || say "building mistral.rs, once"
with_lock "$folder/lock" build
printf '%s\n' "$folder/target/release/mistralrs-peer"
