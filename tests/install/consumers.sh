#!/bin/sh
# What `make install` leaves is enough: programs outside the tree are built against it with pkg-config,
# with CMake and with the compiler alone, shared and static, and run. The prefix has a space in its name,
# everything is installed twice, then moved. $INFERENCE is the command of the build folder.
set -eu

build=$(dirname "$INFERENCE")
cc=${INFERENCE_CC:-cc}
cxx=${INFERENCE_CXX:-c++}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
unset LD_LIBRARY_PATH PKG_CONFIG_PATH DESTDIR CMAKE_PREFIX_PATH

step() {
    echo "--- $*"
}

# quietly COMMAND...: shows what it says when it fails.
quietly() {
    "$@" >log 2>&1 || {
        cat log >&2
        exit 1
    }
}

# The programs print the version and make a provider.
cat >consumer.c <<'PROGRAM'
#include <inference/inference.h>
#include <stdio.h>

int main(void)
{
    inf_context *context = NULL;
    inf_provider *provider = NULL;
    inf_error err;

    if (inf_context_create(&context, NULL, &err) ||
        (inf_provider_get(&provider, context, "LlamaCpp", "model.gguf", NULL, &err) && err.code != INF_ERROR_UNSUPPORTED))
        return printf("%s\n", err.message), 1;
    printf("inference %s\n", inf_version_string());
    inf_provider_release(provider);
    return inf_context_close(context, NULL);
}
PROGRAM
# The same in C++, with what the library's own C++ has too: templates with static variables, which gcc
# makes unique in the process.
cat >consumer.cpp <<'PROGRAM'
#include <inference/inference.h>
#include <iostream>
#include <map>
#include <memory>
#include <regex>

int main()
{
    inf_context *created = nullptr;
    inf_error err;

    if (inf_context_create(&created, nullptr, &err))
        return std::cout << err.message << '\n', 1;
    auto close = [](inf_context *c) { inf_context_close(c, nullptr); };
    auto context = std::shared_ptr<inf_context>(created, close);
    auto names = std::make_shared<std::map<std::string, std::string>>();
    std::smatch found;
    const std::string version = inf_version_string();

    if (std::regex_match(version, found, std::regex("([0-9]+)\\.([0-9]+)\\.([0-9]+)")))
        (*names)["inference"] = found[0];
    for (const auto &name : *names)
        std::cout << name.first << ' ' << name.second << '\n';
}
PROGRAM
wanted=$("$INFERENCE" --version | head -n 1)

# runs PROGRAM [LIBRARY-FOLDER]
runs() {
    step "run $1"
    said=$(LD_LIBRARY_PATH=${2:-} "./$1")
    [ "$said" = "$wanted" ] || {
        echo "$1 printed '$said', not '$wanted'" >&2
        exit 1
    }
}

# ---- install, install again, stage, move

step "install, twice"
quietly cmake --install "$build" --prefix "$scratch/first place"
(cd "first place" && find . ! -type d -exec ls -l {} + | sed 's/.* //' | sort) >files-once
quietly cmake --install "$build" --prefix "$scratch/first place"
(cd "first place" && find . ! -type d -exec ls -l {} + | sed 's/.* //' | sort) >files-twice
diff -u files-once files-twice

step "stage"
quietly env DESTDIR="$scratch/stage" cmake --install "$build" --prefix /opt/inference
[ -x stage/opt/inference/bin/inference ]

step "uninstall"
for place in "gone|" "staged|$scratch/root"; do
    PREFIX=$scratch/${place%%|*} DESTDIR=${place#*|}
    export PREFIX DESTDIR
    quietly cmake --install "$build" --prefix "$PREFIX"
    : >"$DESTDIR$PREFIX/bin/of somebody else"
    quietly sh "$INFERENCE_SOURCE_DIR/scripts/uninstall.sh" "$build"
    [ "$(find "$DESTDIR$PREFIX" ! -type d)" = "$DESTDIR$PREFIX/bin/of somebody else" ] || {
        echo "uninstalling left, or took:" >&2
        find "$DESTDIR$PREFIX" ! -type d >&2
        exit 1
    }
    [ ! -e "$DESTDIR$PREFIX/include/inference" ]
    unset PREFIX DESTDIR
done

mv "first place" "a prefix"
prefix="$scratch/a prefix"
lib=$(dirname "$(find "$prefix" -name libinference.so)")
mv stage/opt/inference plain # without a space

step "what is there"
for file in bin/inference include/inference/inference.h share/man/man1/inference.1 \
    share/bash-completion/completions/inference share/zsh/site-functions/_inference; do
    [ -s "$prefix/$file" ] || { echo "$file is not installed" >&2 && exit 1; }
done
[ "$("$prefix/bin/inference" --version | head -n 1)" = "$wanted" ]
licences=$(find "$prefix/share/doc" -name 'LICENSE*')
echo "$licences" | grep -q '/LICENSE$'
if [ "$("$prefix/bin/inference" generate -p llamacpp x 2>&1 | grep -c 'this build has no')" = 0 ]; then
    echo "$licences" | grep -q llama # what is linked in
fi
if grep -rlF "$scratch" "$prefix" plain; then
    echo "these files name the folder they were installed to" >&2
    exit 1
fi

step "the man page"
if command -v man >/dev/null 2>&1; then
    MANROFFSEQ='' man --warnings -E UTF-8 -l "$prefix/share/man/man1/inference.1" >page 2>complaints
    [ ! -s complaints ] || { cat complaints >&2 && exit 1; }
    grep -q 'EXIT STATUS' page
fi

# ---- the compiler alone

step "cc, shared and static"
"$cc" consumer.c -I "$prefix/include" -L "$lib" -linference -o alone
runs alone "$lib"
archive="$lib/libinference.a"
if [ -f "$archive" ]; then
    private=$(sed -n 's/^Libs.private: //p' "$lib/pkgconfig/inference.pc")
    "$cc" consumer.c -I "$prefix/include" "$archive" $private -o alone-static
    runs alone-static
    ! ldd alone-static | grep -q libinference
    step "the static library's global symbols are the API's"
    nm -g --defined-only "$archive" | sed -n 's/^[0-9a-f]* . //p' | LC_ALL=C sort >found
    LC_ALL=C sort "$INFERENCE_SOURCE_DIR/cmake/exported-symbols.txt" | diff -u - found
    ! nm "$archive" | grep ' u ' # unique ones, which no objcopy makes local
fi

# ---- pkg-config

for place in "$prefix" "$scratch/plain"; do
    step "pkg-config in $place"
    PKG_CONFIG_PATH=$(dirname "$(find "$place" -name inference.pc)")
    export PKG_CONFIG_PATH
    [ "$(pkg-config --modversion inference)" = "${wanted#inference }" ]
    eval "\"$cc\" consumer.c $(pkg-config --cflags --libs inference) -o packaged"
    runs packaged "$(dirname "$PKG_CONFIG_PATH")"
    if [ -f "$archive" ]; then
        # The linker takes the shared library where it finds both.
        mkdir -p away
        mv "${PKG_CONFIG_PATH%/pkgconfig}"/libinference.so* away
        eval "\"$cc\" consumer.c $(pkg-config --cflags --static --libs inference) -o packaged-static"
        mv away/* "${PKG_CONFIG_PATH%/pkgconfig}"
        runs packaged-static
        ! ldd packaged-static | grep -q libinference
    fi
done

# ---- the lines of docs/api.md, pasted

cp consumer.c program.c
cp consumer.cpp program.cpp
grep -E '^(cc|c\+\+) program' "$INFERENCE_SOURCE_DIR/docs/api.md" >lines
[ "$(wc -l <lines)" = 3 ]
while read -r line; do
    case $line in *inference-static*) [ -f "$archive" ] || continue ;; esac
    step "$line"
    rm -f a.out
    eval "$(echo "$line" | sed "s|^cc |\"$cc\" |; s|^c++ |\"$cxx\" |")"
    runs a.out "$(dirname "$PKG_CONFIG_PATH")"
    case $line in *inference-static*) ! ldd a.out | grep -q libinference ;; esac
done <lines

# ---- CMake

cat >CMakeLists.txt <<'LISTS'
cmake_minimum_required(VERSION 3.22)
project(consumer C CXX)
find_package(inference 0.1 REQUIRED)
add_executable(found consumer.c)
target_link_libraries(found inference::inference)
if(TARGET inference::inference_static)
    add_executable(found-static consumer.c)
    target_link_libraries(found-static inference::inference_static)
    add_executable(found-static-cxx consumer.cpp)
    target_link_libraries(found-static-cxx inference::inference_static)
endif()
LISTS
step "CMake"
quietly cmake -S . -B tree "-DCMAKE_PREFIX_PATH=$prefix" -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx"
quietly cmake --build tree
runs tree/found
if [ -f "$archive" ]; then
    runs tree/found-static
    runs tree/found-static-cxx
    ! ldd tree/found-static | grep -q libinference
fi

# ---- the program of the README, compiled as it says

step "the program of the README"
sed -n '/^```c$/,/^```$/p' "$INFERENCE_SOURCE_DIR/README.md" | sed '/^```/d' >hello.c
[ -s hello.c ]
eval "\"$cc\" -std=c11 -Wall -Wextra -Werror hello.c $(pkg-config --cflags --libs inference) -o hello"
if [ -n "${INFERENCE_TEST_MODEL:-}" ]; then
    # What it prints comes out piece by piece: the first long before the last.
    LD_LIBRARY_PATH=$lib python3 - ./hello "$INFERENCE_TEST_MODEL" "$INFERENCE_SOURCE_DIR/adapters/json" <<'PYTHON'
import os, subprocess, sys, time

process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
pieces = []
while piece := os.read(process.stdout.fileno(), 1 << 16):
    pieces.append((time.monotonic(), piece))
text = b"".join(piece for _, piece in pieces)
if process.wait() != 0 or len(text) <= 20:
    sys.exit("hello says %r" % text)
if len(pieces) < 5 or pieces[-1][0] - pieces[0][0] < 0.01 or len(pieces[0][1]) > len(text) / 2:
    sys.exit("hello does not stream: %r" % [piece for _, piece in pieces])
PYTHON
fi
# It fails with a status and a word.
for arguments in "" "none.gguf none"; do
    ! LD_LIBRARY_PATH=$lib ./hello $arguments >said 2>why || { echo "hello $arguments succeeds" >&2 && exit 1; }
    [ "$(wc -l <why)" = 1 ] && [ ! -s said ]
done
