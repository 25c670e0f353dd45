#!/bin/sh
# The Python package as a user has it: tests/python in a fresh virtual environment made from the wheel.
# `tests/python/run.sh FOLDER [PYTEST-OPTION]...`, FOLDER with the one wheel; $PYTHON is the interpreter.
# What the tests need besides is downloaded once, into the cache.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../scripts/lib.sh"

folder=$1
shift
python=${PYTHON:-python3}
if [ -d "$folder" ]; then folder=$(cd "$folder" && pwd); fi
wheel=$(ls "$folder"/*.whl 2>/dev/null || true)
if [ -z "$wheel" ]; then
    say "no wheel in $folder: make python builds it"
    exit 77
fi

export INFERENCE_TEST_MODEL="${INFERENCE_TEST_MODEL:-$(sh "$here/../../scripts/fetch-model.sh")}"

pyright=pyright@1.1.414
house=$(cache_dir)/tools/python-tests-$({
    cat "$here/requirements.txt"
    echo "$pyright"
    "$python" -c 'import sys; print(sys.implementation.cache_tag)'
} | sha256sum | cut -c1-16)
download() {
    [ ! -f "$house/complete" ] || return 0
    say "downloading what the Python tests need, once"
    rm -rf "$house"
    "$python" -m pip download --disable-pip-version-check --quiet --only-binary :all: -d "$house" \
        -r "$here/requirements.txt" >"$house.log" 2>&1 || {
        tail -n 5 "$house.log" >&2
        die "what the Python tests need cannot be downloaded; is the network up?"
    }
    # pyright is a program for node; where there is no npm, the test of it is skipped.
    if command -v npm >/dev/null; then
        npm install --no-audit --no-fund --prefix "$house/pyright" "$pyright" >>"$house.log" 2>&1 || {
            tail -n 5 "$house.log" >&2
            die "pyright, which the Python tests need, cannot be downloaded; is the network up?"
        }
    fi
    : >"$house/complete"
}
mkdir -p "${house%/*}"
with_lock "$house.lock" download

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --disable-pip-version-check --quiet --no-index --find-links "$house" \
    --no-compile "$wheel" -r "$here/requirements.txt"
# Neither this tree nor what is installed elsewhere: only what the wheel brought.
unset PYTHONPATH PYTHONHOME INFERENCE_LIBRARY
if [ -x "$house/pyright/node_modules/.bin/pyright" ]; then
    export INFERENCE_PYRIGHT="$house/pyright/node_modules/.bin/pyright"
fi
export INFERENCE_WHEEL="$wheel" PYTHONDONTWRITEBYTECODE=1
cd "$work"
"$work/venv/bin/python" -m pytest -q -p no:cacheprovider --rootdir "$here" "$@" "$here"
