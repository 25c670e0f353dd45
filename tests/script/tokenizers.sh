# Published vocabularies: hundreds of hard texts each, ids and decoded texts as the tokenizers library has
# them; and the same as GGUF files. Fetched into the cache; skipped when that cannot be done. $CASES and
# $VOCABULARY are the programs that compare.
set -u

scripts=$INFERENCE_SOURCE_DIR/scripts
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

skip() {
    echo "skipped: $1" >&2
    exit 77
}

folder=$(sh "$scripts/fetch-tokenizers.sh") || skip "the published tokenizers cannot be fetched"

python=$(sh "$scripts/python-with.sh" requirements-tokenizers.txt tokenizers) || skip "the tokenizers library cannot be installed"

"$python" "$scripts/make_tokenizer_cases.py" --of "$folder" "$work/cases" || exit 1
export INFERENCE_TOKENIZER_CASES="$work/cases"
"$CASES" && "$VOCABULARY"
