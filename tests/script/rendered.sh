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

# ---- a model that puts a beginning-of-text token first adds none to a prompt that begins with it
adds=$fixtures/mistral/base.gguf
ids() { # PROMPT ARGUMENT...: $n is how many tokens the prompt has, $work/err what was said
    printf '%s' "$1" >"$work/prompt"
    shift
    input=$work/prompt
    run generate -v -m "$adds" --threads 1 -n 1 --json "$@" -
    [ "$status" -eq 0 ] || fail "$*: exit code $status"
    n=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["prompt_tokens"])' "$work/out")
}
said='inference: info: the prompt begins with the beginning-of-text token itself; no second one is added (--add-special decides)'
ids 'hi'
plain=$n
! grep -q 'begins with the beginning' "$work/err" || fail 'a second token is dropped where there is one'
ids 'hi' --no-special
[ "$n" -eq $((plain - 1)) ] || fail 'the model adds no beginning-of-text token: it is not the one for this test'
ids '<s>hi'
[ "$n" -eq "$plain" ] || fail "a prompt that begins with its token has $n tokens, not $plain"
[ "$(grep -cFx "$said" "$work/err")" -eq 1 ] || fail 'that no second token is added is not said'
ids '<s>hi' --no-special
[ "$n" -eq "$plain" ] || fail '--no-special takes the token that stands in the prompt'
ids '<s>hi' --add-special
[ "$n" -eq $((plain + 1)) ] || fail '--add-special adds no token'
! grep -q 'begins with the beginning' "$work/err" || fail '--add-special: said, and not so'
input=/dev/null
finish
