#!/bin/sh
# Build the Python package into one wheel that runs elsewhere: `scripts/python-wheel.sh BUILD JOBS`. The
# wheel is the only file in BUILD/python; CMake's build folder for it is BUILD-python. Called by `make python`.
#
# llama.cpp is that of PORTABLE=1. auditwheel puts the shared libraries that the library needs inside, and
# wheel_licenses.py their licences. The tools are installed once, into the cache.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

build=$1 jobs=$2
root=$(cd "$here/.." && pwd)
requirements=$here/requirements-python.txt
out=$root/$build/python
objects=$root/$build-python

python3 -c 'import venv, ensurepip' 2>/dev/null ||
    die "python3 with venv is needed (Debian: apt-get install python3-venv)"

tools=$(cache_dir)/tools/python-wheel-$({
    cat "$requirements"
    python3 -c 'import sys; print(sys.version, sys.prefix)'
} | sha256sum | cut -c1-16)

install_tools() {
    [ ! -f "$tools/complete" ] || return 0
    say "installing scikit-build-core and auditwheel, once"
    rm -rf "$tools"
    python3 -m venv "$tools" >"$tools.log" 2>&1 &&
        "$tools/bin/python" -m pip install --disable-pip-version-check --quiet -r "$requirements" \
            >>"$tools.log" 2>&1 &&
        : >"$tools/complete" || {
        tail -n 5 "$tools.log" >&2
        die "the tools of the Python package cannot be installed; is the network up? Run the same again"
    }
}
mkdir -p "$(cache_dir)/tools"
with_lock "$tools.lock" install_tools

# Nothing is done again while everything that goes in is as it was.
inputs() {
    cat "$root/scripts/wheel_licenses.py" "$root/scripts/python-wheel.sh" "$requirements"
    (cd "$root" && find CMakeLists.txt cmake include src bindings/python -type f ! -name '*.pyc' \
        ! -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
    (cd "$root" && sh scripts/llama-cpp.sh --portable)
    "${CC:-cc}" --version
    echo "${LLAMA_CPP_DIR:-}"
}
mkdir -p "$out" "$objects"
build_wheel() {
    key=$(inputs | sha256sum)
    [ "$(cat "$objects/wheel.key" 2>/dev/null)" != "$key" ] ||
        [ "$(ls "$out")" != "$(cat "$objects/wheel.name")" ] || return 0
    rm -rf "$work" "$out"
    mkdir -p "$work" "$out"
    say "building the Python package"
    run_logged python -m pip wheel --disable-pip-version-check --no-build-isolation --no-deps \
        --config-settings "build-dir=$objects/cmake" --wheel-dir "$work/plain" "$root/bindings/python"
    run_logged auditwheel repair --wheel-dir "$work/repaired" "$work/plain"/*.whl
    run_logged python "$here/wheel_licenses.py" "$objects/cmake" "$work/repaired"/*.whl
    mv "$work/repaired"/*.whl "$out/"
    rm -rf "$work"
    ls "$out" >"$objects/wheel.name"
    printf '%s\n' "$key" >"$objects/wheel.key"
}

work=$objects/wheel
log=$objects/wheel.log
run_logged() {
    "$@" >"$log" 2>&1 || {
        tail -n 30 "$log" >&2
        die "the Python package did not build; the whole log is $log"
    }
}
PATH=$tools/bin:$PATH
export PATH CMAKE_BUILD_PARALLEL_LEVEL="$jobs"
if [ -n "${LLAMA_CPP_DIR:-}" ]; then export SKBUILD_CMAKE_DEFINE="LLAMA_CPP_DIR=$LLAMA_CPP_DIR"; fi
with_lock "$objects/wheel.lock" build_wheel
say "$build/python/$(cat "$objects/wheel.name")"
