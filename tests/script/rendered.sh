#!/bin/sh
# What `render` prints is the prompt that a chat has: given to `generate`, it has the same tokens, none of
# them twice, and the same answer.
. "${0%/*}/lib.sh"

same_as_chat() { # MODEL MESSAGES
    printf '%s' "$2" >"$work/messages"
    expect_ok generate -m "$1" --messages "$work/messages" --temperature 0 -n 4 --json
    cp "$work/out" "$work/chat"
    input=$work/messages
    expect_ok render -m "$1"
    cp "$work/out" "$work/prompt"
    input=$work/prompt
    expect_ok generate -m "$1" --temperature 0 -n 4 --json -
    cat "$work/chat" >>"$work/out"
    check 'len(lines) == 2 and r["prompt_tokens"] > 3 and all(lines[0][k] == lines[1][k] for k in ("prompt_tokens", "token_ids", "text"))' \
        "$2"
    cp "$work/out" "$work/both"
    input=$work/prompt
    expect_ok tokenize -m "$1"
    head -n 1 "$work/both" >>"$work/out"
    check 'len(lines[0]) == lines[1]["prompt_tokens"]' "tokenize, $2"
    input=/dev/null
}

for gguf in "$INFERENCE_TEST_MODEL" "$model"; do
    same_as_chat "$gguf" '[{"role":"user","content":"Hi"}]'
    same_as_chat "$gguf" '[{"role":"system","content":"Be brief."},{"role":"user","content":"What is gravity?"},{"role":"assistant","content":"A force."},{"role":"user","content":"Whose?"}]'
done
finish
