#!/bin/sh
# The wheel where nothing of its build is: on a bare root of each Debian, in a fresh virtual environment, every
# example. `tests/python/roots.sh FOLDER MODEL [SUITE]...`, FOLDER with the one wheel, MODEL a GGUF file; without
# SUITE bookworm and trixie. Needs root and debootstrap, and minutes, so it is no part of the suite.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../scripts/lib.sh"

wheel=$(ls "$1"/*.whl)
model=$2
shift 2
[ $# -gt 0 ] || set -- bookworm trixie
command -v debootstrap >/dev/null || die "debootstrap is needed (Debian: apt-get install debootstrap)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

try() {
    suite=$1 root=$work/$1
    debootstrap --variant=minbase --include=python3-venv "$suite" "$root" >"$work/log" 2>&1 || {
        tail -n 5 "$work/log" >&2
        die "no root of $suite"
    }
    mkdir "$root/try"
    cp "$wheel" "$root/try/"
    cp "$model" "$root/try/model.gguf"
    cp -r "$here/../../examples/python" "$here/../../adapters" "$root/try/"
    chroot "$root" sh -euc '
        cd /try
        python3 -m venv venv
        venv/bin/pip install --quiet --no-index --disable-pip-version-check *.whl
        test "$(venv/bin/pip list --format=freeze | grep -vc -e ^pip -e ^setuptools)" = 1
        for example in python/*.py; do
            case $example in
            */agent_loop.py) venv/bin/python "$example" model.gguf 2 ;;
            *) venv/bin/python "$example" model.gguf adapters/pirate ;;
            esac >out
            test "$(wc -c <out)" -gt 20
            echo "$example: $(tail -n 1 out | cut -c 1-60)"
        done' || die "$suite: the wheel does not work there"
    say "$suite: $(chroot "$root" python3 --version), every example runs"
    rm -rf "$root"
}
for suite; do try "$suite"; done
