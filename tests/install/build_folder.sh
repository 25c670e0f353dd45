#!/bin/sh
# A build folder that was copied or moved with its tree is made anew instead of failing. The tree is a
# stand-in with the script that configures and a project of nothing.
set -eu

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

mkdir -p first/scripts
cp "$INFERENCE_SOURCE_DIR/scripts/configure.sh" "$INFERENCE_SOURCE_DIR/scripts/lib.sh" first/scripts
cat >first/CMakeLists.txt <<'LISTS'
cmake_minimum_required(VERSION 3.22)
project(nothing LANGUAGES NONE)
file(WRITE ${PROJECT_BINARY_DIR}/of ${PROJECT_SOURCE_DIR}/${GIVEN})
LISTS

# configured TREE SAYS: runs it there; what it says on standard error holds SAYS, or is nothing.
configured() {
    (cd "$1" && sh scripts/configure.sh build -DGIVEN=x) 2>said || {
        cat said >&2
        exit 1
    }
    if [ -n "$2" ]; then grep -q "$2" said; else [ ! -s said ]; fi || {
        echo "$1: it said '$(cat said)', not '$2'" >&2
        exit 1
    }
    [ "$(dirname "$(cat "$1/build/of")")" -ef "$1" ] || {
        echo "$1: built of $(cat "$1/build/of")" >&2
        exit 1
    }
    [ -f "$1/build/configure.log" ]
}

configured first ''
: >first/build/kept
configured first ''
[ -e first/build/kept ]
cp -R first copy
configured copy 'build was made at .*first/build; building anew'
[ ! -e copy/build/kept ]
configured copy ''
mv first moved
configured moved 'building anew'
ln -s moved link # the same folder by another name
: >moved/build/kept
configured link ''
[ -e moved/build/kept ]
