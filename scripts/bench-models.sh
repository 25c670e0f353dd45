#!/bin/sh
# bench-models.sh PEERS NAME...: print NAME=FILE for each of the models that the benchmarks run, written
# into the cache once. PEERS is the folder with llama-quantize.
#   Q4_1 BF16 Q8_0 Q4_K_M       the small real model; all but the first are written from the first: what
#                               matters for speed is their size
#   1.5B-Q8_0 1.5B-Q4_K_M       random weights of Qwen2.5-1.5B's shape; these need LLAMA_CPP_DIR (a source
#                               tree, for its convert script) and PYTHON (one with transformers and torch)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

peers=$1
shift
small=$(sh "$here/fetch-model.sh")

# quantize FROM TO TYPE
quantize() {
    [ ! -f "$2" ] || return 0
    say "writing $(basename "$2")"
    "$peers/bin/llama-quantize" --allow-requantize "$1" "$2.tmp" "$3" >/dev/null 2>&1 ||
        die "llama-quantize cannot write $2"
    mv "$2.tmp" "$2"
}

random_1_5b() {
    [ ! -f "$1" ] || return 0
    [ -n "${LLAMA_CPP_DIR:-}" ] && [ -n "${PYTHON:-}" ] || die "the 1.5B models need LLAMA_CPP_DIR and PYTHON"
    say "writing a checkpoint of Qwen2.5-1.5B's shape"
    rm -rf "$1.dir"
    python3 "$here/../bench/random_checkpoint.py" 1.5B "$(sh "$here/fetch-tokenizers.sh")/qwen3" "$1.dir"
    "$PYTHON" "$LLAMA_CPP_DIR/convert_hf_to_gguf.py" "$1.dir" --outfile "$1.tmp" --outtype bf16 >/dev/null 2>&1 ||
        die "convert_hf_to_gguf.py cannot write $1"
    rm -rf "$1.dir"
    mv "$1.tmp" "$1"
}

for name; do
    case $name in
    Q4_1) file=$small ;;
    BF16 | Q8_0 | Q4_K_M)
        file=${small%.Q4_1.gguf}.$name.gguf
        quantize "$small" "$file" "$name"
        ;;
    1.5B-Q8_0 | 1.5B-Q4_K_M)
        whole=$(dirname "$small")/random-1.5B.BF16.gguf
        file=${whole%.BF16.gguf}.${name#1.5B-}.gguf
        [ -f "$file" ] || random_1_5b "$whole"
        quantize "$whole" "$file" "${name#1.5B-}"
        ;;
    *) die "MODELS: $name is none of Q4_1 BF16 Q8_0 Q4_K_M 1.5B-Q8_0 1.5B-Q4_K_M" ;;
    esac
    printf '%s=%s\n' "$name" "$file"
done
