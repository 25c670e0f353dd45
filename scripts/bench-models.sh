#!/bin/sh
# bench-models.sh PEERS NAME...: print NAME=FILE for each of the models that the benchmarks run, written
# into the cache once. PEERS is the folder with llama-quantize.
#   Q4_1 BF16 Q8_0 Q4_K_M       the small real model; all but the first are written from the first: what
#                               matters for speed is their size
#   1.5B-Q8_0 1.5B-Q4_K_M       random weights of Qwen2.5-1.5B's shape
#   135M 0.5B                   NAME=DIR,GGUF: checkpoints in BF16 with random weights of SmolLM2-135M's and
#                               Qwen2.5-0.5B's shapes, and the same weights as GGUF
# GGUF files are written from checkpoints with LLAMA_CPP_DIR (a source tree, for its convert script) and PYTHON
# (one with transformers, torch and gguf). Without these a checkpoint has none, NAME=DIR.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

peers=$1
shift
small=$(sh "$here/fetch-model.sh")
models=$(dirname "$small")

# quantize FROM TO TYPE
quantize() {
    [ ! -f "$2" ] || return 0
    say "writing $(basename "$2")"
    "$peers/bin/llama-quantize" --allow-requantize "$1" "$2.tmp" "$3" >/dev/null 2>&1 ||
        die "llama-quantize cannot write $2"
    mv "$2.tmp" "$2"
}

# checkpoint SHAPE TOKENIZER DIR
checkpoint() {
    [ ! -d "$3" ] || return 0
    say "writing a checkpoint of the shape $1"
    rm -rf "$3.tmp"
    python3 "$here/../bench/random_checkpoint.py" "$1" "$(sh "$here/fetch-tokenizers.sh" "$2")/$2" "$3.tmp"
    mv "$3.tmp" "$3"
}

can_convert() {
    [ -n "${LLAMA_CPP_DIR:-}" ] && [ -n "${PYTHON:-}" ]
}

# convert DIR GGUF
convert() {
    [ ! -f "$2" ] || return 0
    say "writing $(basename "$2")"
    "$PYTHON" "$LLAMA_CPP_DIR/convert_hf_to_gguf.py" "$1" --outfile "$2.tmp" --outtype bf16 >"$2.log" 2>&1 ||
        die "convert_hf_to_gguf.py cannot write $2; $2.log says why"
    rm -f "$2.log"
    mv "$2.tmp" "$2"
}

random_1_5b() {
    [ ! -f "$1" ] || return 0
    can_convert || die "the 1.5B models need LLAMA_CPP_DIR and PYTHON"
    checkpoint 1.5B qwen3 "$models/random-1.5B"
    convert "$models/random-1.5B" "$1"
    rm -rf "$models/random-1.5B"
}

for name; do
    case $name in
    Q4_1) file=$small ;;
    BF16 | Q8_0 | Q4_K_M)
        file=${small%.Q4_1.gguf}.$name.gguf
        quantize "$small" "$file" "$name"
        ;;
    1.5B-Q8_0 | 1.5B-Q4_K_M)
        whole=$models/random-1.5B.BF16.gguf
        file=${whole%.BF16.gguf}.${name#1.5B-}.gguf
        [ -f "$file" ] || random_1_5b "$whole"
        quantize "$whole" "$file" "${name#1.5B-}"
        ;;
    135M | 0.5B)
        file=$models/random-$name
        case $name in 135M) tokenizer=smollm2 ;; *) tokenizer=qwen3 ;; esac
        checkpoint "$name" "$tokenizer" "$file"
        ! can_convert || convert "$file" "$file.BF16.gguf"
        [ ! -f "$file.BF16.gguf" ] || file=$file,$file.BF16.gguf
        ;;
    *) die "MODELS: $name is none of Q4_1 BF16 Q8_0 Q4_K_M 1.5B-Q8_0 1.5B-Q4_K_M 135M 0.5B" ;;
    esac
    printf '%s=%s\n' "$name" "$file"
done
