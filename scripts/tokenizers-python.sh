#!/bin/sh
# Print a Python that has the tokenizers library, the peer of tests and benchmarks: in a virtual
# environment in the cache, made when it is not there.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

venv=$(cache_dir)/tokenizers-python

make_venv() {
    [ ! -x "$venv/bin/python" ] || return 0
    pin=$(grep '^tokenizers==' "$here/requirements-tokenizers.txt")
    say "installing $pin, once"
    rm -rf "$venv.tmp"
    { python3 -m venv "$venv.tmp" && "$venv.tmp/bin/python" -m pip install --quiet "$pin"; } \
        >"$venv.log" 2>&1 || {
        tail -n 3 "$venv.log" >&2
        die "$pin cannot be installed; is python3-venv there, and the network?"
    }
    mv "$venv.tmp" "$venv"
}

mkdir -p "$(cache_dir)"
with_lock "$venv.lock" make_venv
printf '%s\n' "$venv/bin/python"
