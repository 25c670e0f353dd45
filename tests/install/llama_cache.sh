#!/bin/sh
# The cache of built llama.cpp (scripts/llama-cpp.sh): two builds at once, a build that is killed, a
# library cut short, a cache that comes from another CPU or compiler, a checkout in which the edits find
# no place. The sources are stand-ins of a line each, so that a build takes seconds.
# $INFERENCE_SOURCE_DIR is the tree.
set -eu

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
XDG_CACHE_HOME=$scratch/cache
export XDG_CACHE_HOME
unset LLAMA_CPP_DIR

fail() {
    echo "$*" >&2
    cat "$scratch"/*.err >&2 || true
    exit 1
}

# ---- a source tree in which a few stand-ins are the library, and compilers to tamper with

source=$scratch/source
mkdir -p "$source/include" "$source/common" "$source/cmake" "$source/src" "$source/tools" "$source/vendor" \
    "$source/ggml/include" "$source/ggml/src/ggml-cpu"
for header in include/llama.h ggml/include/ggml.h ggml/include/ggml-alloc.h ggml/include/ggml-backend.h \
    ggml/include/ggml-cpu.h ggml/include/ggml-opt.h ggml/include/gguf.h LICENSE \
    ggml/src/ggml-cpu/traits.h ggml/src/ggml-cpu/ggml-cpu-impl.h ggml/src/ggml-impl.h ggml/src/ggml-backend-impl.h; do
    : >"$source/$header"
done
echo 'int ops(void) { return 1; }' >"$source/ggml/src/ggml-cpu/ops.cpp"
echo 'int barrier(void) { return 1; }' >"$source/ggml/src/ggml-cpu/ggml-cpu.c"
echo 'add_subdirectory(ggml/src)' >"$source/CMakeLists.txt"
cat >"$source/ggml/src/CMakeLists.txt" <<'LISTS'
add_library(ggml-cpu STATIC)
target_sources(ggml-cpu PRIVATE ggml-cpu/ggml-cpu.c ggml-cpu/ops.cpp)
foreach(name llama ggml ggml-base)
    add_library(${name} STATIC ggml-cpu/ops.cpp)
endforeach()
LISTS
(cd "$source" && find . -type f -exec sha256sum {} + | sort) >"$scratch/before"

# CPU adds a feature to what -march=native means, VERSION changes the compiler's; a file "slow" makes it wait.
for name in cc c++; do
    cat >"$scratch/$name" <<COMPILER
#!/bin/sh
case "\$*" in
*--version*) echo "\$0 \${VERSION:-1}"; exit ;;
*-E*-v*) echo " cc1 -mavx2 \${CPU:-}" >&2; exit ;;
*.cpp.o*) [ ! -e "$scratch/slow" ] || { : >"$scratch/started"; sleep 5; } ;;
esac
exec $(command -v "$name") "\$@"
COMPILER
    chmod +x "$scratch/$name"
done

# cached OUT [OPTION...]: runs the script; what it prints is in OUT, what it says in OUT.err.
cached() {
    out=$1
    shift
    sh "$INFERENCE_SOURCE_DIR/scripts/llama-cpp.sh" --source "$source" \
        --cc "$scratch/cc" --cxx "$scratch/c++" --jobs 1 "$@" >"$scratch/$out" 2>"$scratch/$out.err"
}
said() {
    cat "$scratch/$1"
}
is_whole() {
    [ -f "$1/lib/libllama.a" ] && [ -f "$1/include/llama.h" ] && [ -f "$1/key.txt" ]
}

# ---- built once

cached first || fail "the first build failed"
prefix=$(said first)
is_whole "$prefix" || fail "the first build left no library in '$prefix'"
cached second
[ "$(said second)" = "$prefix" ] && [ ! -s "$scratch/second.err" ] || fail "a second call built again"

# ---- a checkout of another version: without the edits, and untouched

edits=$(grep -c '^inf_edit(' "$INFERENCE_SOURCE_DIR/cmake/llama-cpp/edits/edits.cmake")
[ "$(grep -c 'define INF_LLAMA_HAS_[A-Z_]* 0$' "$prefix/include/llama_edits.h")" = "$edits" ] ||
    fail "it does not say that it is without the edits"
(cd "$source" && find . -type f -exec sha256sum {} + | sort) | diff "$scratch/before" - >&2 ||
    fail "the checkout was changed"

# ---- two at once

rm -rf "$prefix"
cached one &
one=$!
cached two || fail "one of two builds at once failed"
wait $one || fail "one of two builds at once failed"
[ "$(said one)" = "$prefix" ] && [ "$(said two)" = "$prefix" ] && is_whole "$prefix" ||
    fail "two builds at once gave something else"
[ "$(cat "$scratch/one.err" "$scratch/two.err" | grep -c ', once')" = 1 ] || fail "two builds at once both built"

# ---- killed. By KILL the compiler lives on, and keeps the lock until it ends.

for signal in TERM KILL; do
    rm -rf "$prefix" "$scratch/started"
    : >"$scratch/slow"
    setsid sh -c 'echo $$ >"$1" && exec sh "$2/scripts/llama-cpp.sh" --source "$3" \
        --cc "$4/cc" --cxx "$4/c++" --jobs 1' sh "$scratch/pid" "$INFERENCE_SOURCE_DIR" "$source" "$scratch" \
        >/dev/null 2>"$scratch/killed.err" &
    waited=0
    while [ ! -e "$scratch/started" ]; do
        waited=$((waited + 1))
        [ $waited -lt 600 ] || fail "the build to be killed does not start"
        sleep 0.1
    done
    kill -s $signal -- "-$(cat "$scratch/pid")"
    wait $! 2>/dev/null || true
    rm "$scratch/slow"
    [ ! -e "$prefix" ] || fail "a build killed by $signal left $prefix"
    cached again || fail "the build after one killed by $signal failed"
    [ "$(said again)" = "$prefix" ] && is_whole "$prefix" || fail "the build after $signal is not whole"
done
[ -z "$(find "$XDG_CACHE_HOME" -name '*.tmp')" ] || fail "a build left its work folder"

# ---- damaged

: >"$prefix/lib/libllama.a"
cached mended || fail "the build after a damage failed"
grep -q damaged "$scratch/mended.err" && [ -s "$prefix/lib/libllama.a" ] ||
    fail "a library cut short was not built again"
rm "$prefix/key.txt"
cached mended && is_whole "$prefix" || fail "an incomplete folder was not built again"

# ---- another CPU, another compiler, another source

CPU=-mamx-tile cached other
[ "$(said other)" != "$prefix" ] || fail "what another CPU's build made was used"
VERSION=2 cached other
[ "$(said other)" != "$prefix" ] || fail "what another compiler made was used"
echo '// changed' >>"$source/ggml/src/ggml-cpu/ops.cpp"
cached other
[ "$(said other)" != "$prefix" ] || fail "what another source made was used"
is_whole "$prefix" || fail "the first build is gone"

# ---- CUDA, without its compiler

! CUDACXX=$scratch/none cached cuda --cuda || fail "there was a build with CUDA without nvcc"
grep -q 'nvcc' "$scratch/cuda.err" || fail "it is not said that nvcc is missing"
! CUDACXX=true cached cuda --cuda --sanitize thread || fail "there was a build with CUDA and a sanitizer"
grep -q 'SANITIZE=thread' "$scratch/cuda.err" || fail "it is not said what CUDA does not go with"

# ---- one that fails says so

echo 'this is no C++' >"$source/ggml/src/ggml-cpu/ops.cpp"
! cached broken || fail "a source that does not compile gave a library"
grep -q 'did not build' "$scratch/broken.err" || fail "a failed build does not say so"
