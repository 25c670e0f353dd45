#!/bin/sh
# Print a Python that has jinja2, the peer of the template engine in benchmarks: in a virtual environment in
# the cache, made when it is not there.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

venv=$(cache_dir)/jinja2-python

make_venv() {
    [ ! -x "$venv/bin/python" ] || return 0
    pins=$(grep -e '^jinja2==' -e '^markupsafe==' "$here/requirements-templates.txt")
    say "installing jinja2, once"
    rm -rf "$venv.tmp"
    { python3 -m venv "$venv.tmp" && "$venv.tmp/bin/python" -m pip install --quiet $pins; } >"$venv.log" 2>&1 || {
        tail -n 3 "$venv.log" >&2
        die "jinja2 cannot be installed; is python3-venv there, and the network?"
    }
    mv "$venv.tmp" "$venv"
}

mkdir -p "$(cache_dir)"
with_lock "$venv.lock" make_venv
printf '%s\n' "$venv/bin/python"
