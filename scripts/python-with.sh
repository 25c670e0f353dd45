#!/bin/sh
# python-with.sh REQUIREMENTS PACKAGE...: print a Python that has these packages, peers of tests and benchmarks, as
# REQUIREMENTS (a file beside this one) pins them: in a virtual environment in the cache, made when it is not there.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

requirements=$here/$1
shift
pins=
for package in "$@"; do
    pin=$(grep -i "^$package==" "$requirements") || die "$requirements does not pin $package"
    pins="$pins${pins:+ }$pin"
done
venv=$(cache_dir)/python-with/$(printf '%s' "$pins" | tr ' ' '+')

make_venv() {
    [ ! -x "$venv/bin/python" ] || return 0
    say "installing $pins, once"
    rm -rf "$venv.tmp"
    { python3 -m venv "$venv.tmp" && "$venv.tmp/bin/python" -m pip install --quiet $pins; } >"$venv.log" 2>&1 || {
        tail -n 3 "$venv.log" >&2
        die "$pins cannot be installed; is python3-venv there, and the network?"
    }
    mv "$venv.tmp" "$venv"
}

mkdir -p "${venv%/*}"
with_lock "$venv.lock" make_venv
printf '%s\n' "$venv/bin/python"
