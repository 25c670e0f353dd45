#!/bin/sh
# `inference logits`: the numbers behind the next token.
. "${0%/*}/lib.sh"

logits() {
    expect_ok logits -m "$model" --threads 1 "$@"
}

logits --ids 1,2,3
check 'set(r) == {"top", "probe"} and r["probe"] == [] and len(r["top"]) == 10'
check 'r["top"] == sorted(r["top"], key=lambda t: -t[1]) and len({t[0] for t in r["top"]}) == 10'
logits --ids 1,2,3 --top 288
mv "$work/out" "$work/all"
logits --ids 1,2,3 --top 0 --probe 5,0,287,5
cat "$work/all" >>"$work/out"
check 'r["top"] == [] and r["probe"] == [dict(map(tuple, lines[1]["top"]))[i] for i in (5, 0, 287, 5)]'
logits --ids 1,2,3 --top 100000
check 'len(r["top"]) == 288' 'no more than the vocabulary'
logits --ids=7 --top=1
check 'len(r["top"]) == 1'

# The same numbers as the reference has for the first prompt of this model.
expect_ok generate -m "$model" --threads 1 --temperature 0 -n 1 --json hi
mv "$work/out" "$work/generated"
printf hi >"$work/hi"
input=$work/hi
expect_ok tokenize -m "$model"
ids=$(tr -d '[]' <"$work/out")
input=/dev/null
logits --ids "$ids" --top 1
cat "$work/generated" >>"$work/out"
check 'r["top"][0][0] == lines[1]["token_ids"][0]' 'greedy generation takes the first'

# ---- adapters
logits --ids 1,2,3 --load "a=$adapter-0" --adapter a --top 288
mv "$work/out" "$work/with"
logits --ids 1,2,3 --load "a=$adapter-0" --adapter a --adapter-scale 0 --top 288
cat "$work/all" "$work/with" >>"$work/out"
check 'all(abs(dict(map(tuple, r["top"]))[i] - x) < 1e-5 for i, x in lines[1]["top"])' 'scale 0 is the base'
check 'any(abs(dict(map(tuple, r["top"]))[i] - x) > 1e-3 for i, x in lines[2]["top"])' 'scale 1 is not'
logits --ids 1,2,3 --load "a=$adapter-0" --adapter a=0.25 --adapter a=0.75 --top 288
cat "$work/with" >>"$work/out"
check 'all(abs(dict(map(tuple, r["top"]))[i] - x) < 1e-4 for i, x in lines[1]["top"])' 'two parts are the whole'
expect_warning '--load a: no request used it' logits -m "$model" --threads 1 --ids 1,2,3 --load "a=$adapter-0"
expect_error 3 "'x' is not loaded" logits -m "$model" --ids 1 --adapter x

# ---- whichever instructions compute it
export INFERENCE_KERNELS=abacus
expect_error 3 'INFERENCE_KERNELS is "abacus"; this CPU runs one of: none, portable' logits -m "$model" --ids 1
paths=$(sed -n 's/.*one of: none, //p' "$work/err" | tr -d ,)
for INFERENCE_KERNELS in $paths; do
    logits --ids 1,2,3 --top 288
    cmp -s "$work/out" "$work/all" || [ "$paths" = portable ] || fail "$INFERENCE_KERNELS: other numbers"
done
unset INFERENCE_KERNELS
INFERENCE_THREADS=4 expect_error 3 'INFERENCE_THREADS is "4" in the environment: it knows "changing" alone' logits \
    -m "$model" --ids 1

# ---- what cannot be
expect_error 3 'token 288 is outside the vocabulary' logits -m "$model" --ids 1,288
expect_error 3 'token -1 is outside the vocabulary' logits -m "$model" --ids=-1
expect_error 3 'token 288 is outside the vocabulary' logits -m "$model" --ids 1 --probe 288
expect_error 3 'token -5 is outside the vocabulary' logits -m "$model" --ids 1 --probe=-5
expect_error 3 'top: -1' logits -m "$model" --ids 1 --top -1
expect_error 3 '--adapter-scale: there is no --adapter ' logits -m "$model" --ids 1 --adapter-scale 2
gpt2=$fixtures/gpt2/base.gguf
expect_error 13 '64 learned positions' logits -m "$gpt2" --ids "$(seq -s, 1 65)"
expect_ok logits -m "$gpt2" --threads 1 --ids "$(seq -s, 1 64)"
expect_error 13 'window --ctx|--ctx of' logits -m "$model" --ctx 16 --ids "$(seq -s, 1 17)"
logits --ctx 16 --ids "$(seq -s, 1 16)"
logits --ids "$(yes 7 | head -n 3000 | paste -s -d, -)" --top 1
expect_error 5 '--dtype: a GGUF file has its own types, q8_0' logits -m "$model" --dtype q8_0 --ids 1
expect_error 5 'vllm' logits -p vllm --ids 1
expect_error 3 'no model is given: -m' logits --ids 1
expect_usage '--ids 1,2,3 is missing' logits -m "$model"
expect_usage 'list of token ids' logits --ids ''
expect_usage 'list of token ids' logits --ids 1,
expect_usage 'list of token ids' logits --ids '1 2'
expect_usage 'list of token ids' logits --ids 99999999999
expect_usage 'list of token ids' logits --ids 1 --probe x
expect_usage 'a whole number' logits --ids 1 --top x
expect_usage "'x' is too much" logits --ids 1 x

finish
