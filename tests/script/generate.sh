#!/bin/sh
# `inference generate`, flag by flag, on a random model of one layer.
. "${0%/*}/lib.sh"

greedy() {
    expect_ok generate --threads 1 -m "$model" --temperature 0 -n 8 "$@"
}

# ---- the text, the object, the stream
greedy hi
cp "$work/out" "$work/streamed"
greedy --no-stream hi
cmp -s "$work/out" "$work/streamed" || fail "--no-stream prints another text"
greedy --json hi
check 'set(r) >= {"text", "model", "adapter_id", "token_count", "finish_reason", "prompt_tokens", "completion_tokens", "token_ids", "steps", "mean_rows", "mean_adapters", "timings"}'
check 'len(lines) == 1 and r["adapter_id"] is None and r["model"].endswith("one-layer/base.gguf")'
check 'r["completion_tokens"] == 8 == len(r["token_ids"]) and r["finish_reason"] == "length"'
check 'r["token_count"] == r["prompt_tokens"] + 8 and r["steps"] + r["accepted_tokens"] == 8 and r["mean_rows"] == 1'
check 'r["text"] + "\n" == open(sys.argv[1][:-3] + "streamed", encoding="utf-8").read()'
greedy --json --no-stream hi
check 'r["completion_tokens"] == 8'
# A result is one line for every reader, also for one to whom U+0085, U+2028 and U+2029 end it.
greedy --json -n 40 --grammar 'root ::= "a\u0085\u2028\u2029b"' hi
check 'r["text"] == "a\u0085\u2028\u2029b" and len(text.splitlines()) == 1'

# ---- speculation: the same text in fewer steps
greedy --json --speculate off hi
check 'r["steps"] == 8 and r["drafted_tokens"] == 0 == r["accepted_tokens"]'
greedy --json --speculate lookup hi
check 'r["steps"] + r["accepted_tokens"] == 8'
check 'r["text"] + "\n" == open(sys.argv[1][:-3] + "streamed", encoding="utf-8").read()'
# A text that the grammar says, and the reference too.
printf 'abcdabcdabcdabcdabcdabcd' >"$work/reference"
for input in /dev/null "$work/reference"; do
    [ "$input" = /dev/null ] && reference=$work/reference || reference=-
    greedy --json --grammar 'root ::= ("abcd"){30}' -n 40 --speculate lookup --reference "$reference" hi
    check '0 < r["accepted_tokens"] <= r["drafted_tokens"]' "$reference"
    check 'r["steps"] + r["accepted_tokens"] == r["completion_tokens"]' "$reference"
done
input=/dev/null
expect_error 3 'speculate is off' generate -m "$model" --speculate off --reference "$work/reference" hi
expect_error 8 'cannot open .*/none' generate -m "$model" --reference "$work/none" hi
expect_usage "takes auto" generate --speculate maybe a

# ---- what is read: arguments, -, files
printf 'hi' >"$work/hi"
for prompt in "hi" "-- hi" "--prompt hi" "--prompt=hi"; do
    greedy $prompt
    cmp -s "$work/out" "$work/streamed" || fail "$prompt: another text"
done
input=$work/hi
greedy -
cmp -s "$work/out" "$work/streamed" || fail "-: another text"
# Byte for byte: NUL, newlines at the end.
for bytes in 'a\000b' 'a\n\n' '\303\251' 'a\r\nb'; do
    printf "$bytes" >"$work/bytes"
    input=$work/bytes
    expect_ok generate --threads 1 -m "$model" -n 1 --json -
    mv "$work/out" "$work/generated"
    expect_ok tokenize -m "$model"
    cat "$work/generated" >>"$work/out"
    check 'lines[1]["prompt_tokens"] == len(lines[0])' "$bytes"
done
printf 'a\377' >"$work/bytes"
expect_error 3 'prompt: is not valid UTF-8' generate -m "$model" -n 1 -
input=/dev/null
expect_error 3 'prompt is empty' generate --threads 1 -m "$model" -n 1 -
expect_error 3 'prompt is empty' generate --threads 1 -m "$model" -n 1 ""

# ---- chat
greedy --json --chat "hi"
mv "$work/out" "$work/chat"
printf '[{"role":"user","content":"hi"}]' >"$work/messages"
greedy --json --messages "$work/messages"
cat "$work/chat" >>"$work/out"
check 'r["token_ids"] == lines[1]["token_ids"] and r["prompt_tokens"] > 10'
input=$work/messages
greedy --json --messages -
cat "$work/chat" >>"$work/out"
check 'r["token_ids"] == lines[1]["token_ids"]'
input=/dev/null
greedy --json --chat -s "Be brief." "hi"
cat "$work/chat" >>"$work/out"
check 'r["prompt_tokens"] > lines[1]["prompt_tokens"]' 'a system prompt'
greedy --json --system-prompt "Be brief." "hi"
mv "$work/out" "$work/system"
greedy --json "Be brief.

hi"
cat "$work/system" >>"$work/out"
check 'r["token_ids"] == lines[1]["token_ids"]' 'a system prompt goes before a plain prompt'
expect_ok generate --threads 1 -m "$model" -n 1 --chat --template-variables '{"x":1}' hi
expect_error 3 'template variables: not a JSON object' generate --threads 1 -m "$model" -n 1 --chat --template-variables '[1]' hi
expect_error 3 '--template-variables' generate --threads 1 -m "$model" -n 1 --template-variables '{}' hi
printf '{"role":' >"$work/bad"
expect_error 3 'messages.*not JSON' generate --threads 1 -m "$model" -n 1 --messages "$work/bad"
printf '[{"content":"x"}]' >"$work/bad"
expect_error 3 'role' generate --threads 1 -m "$model" -n 1 --messages "$work/bad"

# A template that loops as long as it may is left alone when the request's time is over.
slow='{% for x in range(100000) %}{% for y in range(100000) %}{% endfor %}{% endfor %}'
with_template "$slow" "$work/slow.gguf"
expect_error 16 'within --queue-timeout, 200 ms' generate -m "$work/slow.gguf" --threads 1 --chat --queue-timeout 0.2 hi
expect_error 14 'chat template failed: it takes (longer|more|too long)' generate -m "$work/slow.gguf" --threads 1 --chat hi

# ---- special tokens: the model's around a prompt, and those that stand in it
special() { # FIXTURE ARGUMENT...: how many tokens the prompt has
    file=$fixtures/$1/base.gguf
    shift
    expect_ok generate --threads 1 -m "$file" -n 1 --json "$@"
    python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["prompt_tokens"])' "$work/out"
}
[ "$(special mistral hi) $(special mistral --add-special hi) $(special mistral --no-special hi)" = '4 4 3' ] ||
    fail 'beginning-of-text tokens'
[ "$(special one-layer --plain-prompt '<|im_start|>')" -gt "$(special one-layer '<|im_start|>')" ] ||
    fail '--plain-prompt'
expect_error 3 '--plain-prompt: goes with a prompt' generate -m "$model" --plain-prompt --chat hi

# ---- sampling
for flags in "--temperature 0.7 --seed 5" "--top-k 3 --seed 5" "--top-p 0.5 --seed 5" \
    "--min-p 0.2 --seed 5" "--seed 18446744073709551615" "--repetition-penalty 1.3 --seed 5" \
    "--frequency-penalty 0.5 --seed 5" "--presence-penalty -0.5 --seed 5"; do
    expect_ok generate --threads 1 -m "$model" -n 12 $flags hi
    cp "$work/out" "$work/once"
    expect_ok generate --threads 1 -m "$model" -n 12 $flags hi
    cmp -s "$work/out" "$work/once" || fail "$flags: the same seed gives another text"
done
expect_ok generate --threads 1 -m "$model" -n 24 --top-k 1 hi
expect_ok generate --threads 1 -m "$model" -n 24 --top-k 1 --repetition-penalty 5 --json hi
check 'len(set(r["token_ids"])) == len(r["token_ids"]) > 9' 'a strong penalty leaves no repetition'
expect_ok generate --threads 1 -m "$model" -n 24 --json hi
mv "$work/out" "$work/once"
expect_ok generate --threads 1 -m "$model" -n 24 --json hi
cat "$work/once" >>"$work/out"
check 'r["token_ids"] != lines[1]["token_ids"]' 'without a seed texts differ'
for wrong in "--temperature -1" "--temperature nan" "--temperature inf" "--temperature 1e300" \
    "--top-p 0" "--top-p 1.1" "--min-p 2" "--min-p -0.1" "--top-k -2" "--repetition-penalty 0" \
    "--frequency-penalty 2.5" "--presence-penalty -3" "--logprobs 21 --json" \
    "--logprobs -1 --json" "-n 0" "-n -1" "--adapter-scale nan" "--stop-token-ids 999999" \
    "--stop-token-ids -1" "--timeout 0" "--timeout -2" "--timeout-ms 0" "--queue-timeout 0" "--queue-timeout-ms -2"; do
    expect_error 3 "${wrong%% *}" generate --threads 1 -m "$model" $wrong hi
done

# ---- where it ends
greedy --json hi
token=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["token_ids"][3])' "$work/out")
greedy --json --stop-token-ids "250,$token" hi
check "r['finish_reason'] == 'stop' and r['token_ids'][-1] == $token and $token not in r['token_ids'][:-1]"
greedy --json --stop h hi
check 'r["finish_reason"] == "stop" and "h" not in r["text"]' '--stop'
greedy --json --stop zzz --stop he hi
check 'r["finish_reason"] == "stop" and "he" not in r["text"]' 'the second --stop'
greedy --json --stop zzz hi
check 'r["finish_reason"] == "length"' 'a --stop that does not come'
expect_error 3 'stop' generate --threads 1 -m "$model" --stop "" hi
expect_ok generate --threads 1 -m "$model" --json -n 10 --grammar 'root ::= "a"' hi
check 'r["finish_reason"] == "stop" and r["text"] == "a"'
expect_ok generate --threads 1 -m "$model" --json -n 10 --ignore-eos --grammar 'root ::= "a"' hi
check 'r["finish_reason"] == "stop" and r["text"] == "a"' 'nothing can follow the grammar, --ignore-eos or not'
expect_ok generate --threads 1 -m "$model" --json --ctx 64 --ignore-eos --temperature 0 hi
check 'r["finish_reason"] == "length" and r["token_count"] == 64' 'the window ends it'
expect_error 13 'window --ctx 16' generate --threads 1 -m "$model" --ctx 16 "one two three four five six seven"
# A table of 64 learned positions is the window, whatever n_ctx says.
gpt2=$fixtures/gpt2/base.gguf
expect_ok generate --threads 1 -m "$gpt2" --json -n 100 --ignore-eos hi
check 'r["finish_reason"] == "length" and r["token_count"] == 64' 'the last position ends it'
expect_error 13 '64 learned positions' generate --threads 1 -m "$gpt2" "$(printf 'ab%.0s' $(seq 40))"
expect_error 13 '64 learned positions' generate --threads 1 -m "$gpt2" --ctx 64 "$(printf 'ab%.0s' $(seq 40))"
expect_error 13 'raise --ctx' generate --threads 1 -m "$gpt2" --ctx 32 "$(printf 'ab%.0s' $(seq 40))"
# A sound model with a sliding window warns of nothing.
expect_ok generate --threads 1 -m "$fixtures/gemma2/base.gguf" -n 1 hi
expect_ok generate --threads 1 -m "$fixtures/gemma3/base.gguf" -n 1 hi
# Beyond the training of a model with rotary positions: an answer, and a warning.
run generate --threads 1 -m "$fixtures/llama/base.gguf" -n 1 "$(printf 'ab%.0s' $(seq 300))"
[ "$status" -eq 0 ] && grep -q 'warning: .* trained on 512' "$work/err" && [ "$(wc -l <"$work/err")" -eq 1 ] ||
    fail 'a prompt beyond the training context'
for none in "--timeout none" "--timeout -1" "--timeout-ms -1" "--queue-timeout none" "--queue-timeout-ms -1"; do
    expect_ok generate --threads 1 -m "$model" -n 1 $none hi
done
expect_error 16 'within --queue-timeout,' generate -m "$model" --threads 1 --queue-timeout 0.001 hi
expect_error 3 '--silence-timeout: the llamacpp provider has no use' generate -m "$model" --silence-timeout 5 hi
expect_error 3 '--concurrency: the llamacpp provider has no use' generate -m "$model" --concurrency 2 hi
for option in "--concurrency 256" "--max-retries 2" "--connect-timeout 5" "--silence-timeout-ms 60000" "--adapter-check auto"; do
    expect_error 3 "${option% *}: the llamacpp provider has no use" generate -m "$model" $option hi # at its default
done
expect_error 3 '--connect-timeout: the llamacpp provider has no use' adapters list -m "$model" --connect-timeout 5
expect_usage '--timeout takes a number or none' generate --timeout never hi
run generate --threads 1 -m "$model" --timeout 0.000001 --ignore-eos hi
[ "$status" -eq 16 ] && grep -q 'within --timeout, 1 ms' "$work/err" || fail "--timeout: exit code $status"

# ---- constraints, log-probabilities
expect_ok generate --threads 1 -m "$model" -n 200 --json --seed 1 --json-schema '{"type":"object","properties":{"n":{"type":"integer","minimum":1,"maximum":20}},"required":["n"]}' hi
check 'r["finish_reason"] == "stop" and 1 <= json.loads(r["text"])["n"] <= 20'
printf '{"enum":["red","blue"]}' >"$work/schema"
expect_ok generate --threads 1 -m "$model" -n 20 --json --json-schema "@$work/schema" hi
check 'json.loads(r["text"]) in ("red", "blue")'
printf 'root ::= "x" [0-9]{3}\n' >"$work/grammar"
expect_ok generate --threads 1 -m "$model" -n 20 --json --grammar "@$work/grammar" hi
check '__import__("re").fullmatch("x[0-9]{3}", r["text"])'
expect_error 3 'grammar, line 1' generate --threads 1 -m "$model" --grammar 'root ::= (' hi
expect_error 3 'json-schema' generate --threads 1 -m "$model" --json-schema '{"multipleOf":0.3}' hi
expect_ok generate --threads 1 -m "$model" -n 200 --json --json-schema ' true ' 'One word:'
check 'r["finish_reason"] == "length" or json.loads(r["text"]) is not ...'
expect_error 3 'json-schema, at #: no JSON text obeys it' \
    generate --threads 1 -m "$model" --json-schema false hi
expect_error 3 'json-schema, at #: a schema .an object, true or false. expected' \
    generate --threads 1 -m "$model" --json-schema ' [1]' hi
for schema in '' no; do
    expect_error 3 'json-schema: not JSON' \
        generate --threads 1 -m "$model" --json-schema "$schema" hi
done
expect_error 3 'json-schema and grammar' \
    generate --threads 1 -m "$model" --json-schema '{}' --grammar 'root ::= "a"' hi
expect_error 8 'cannot open .*/none' generate --threads 1 -m "$model" --grammar "@$work/none" hi
greedy --json --logprobs 2 hi
check 'len(r["logprobs"]) == 8 and all(len(l["top"]) == 2 and l["logprob"] <= 0 and l["top"][0]["token_id"] == l["token_id"] for l in r["logprobs"])'
greedy --json --logprobs 0 hi
check 'len(r["logprobs"]) == 8 and r["logprobs"][0]["top"] == []'

# ---- adapters
greedy --json hi
mv "$work/out" "$work/base"
expect_warning "--load a: no request used it; --adapter a" generate --threads 1 -m "$model" \
    --temperature 0 -n 8 --json --load "a=$adapter-0" --load "b=$adapter-1" --adapter b hi
cat "$work/base" >>"$work/out"
check 'r["adapter_id"] == "b" and r["adapter_generation"] == 2 and r["mean_adapters"] == 1 and r["token_ids"] != lines[1]["token_ids"]'
greedy --json --load "a=$adapter-0" --adapter-id a --adapter-scale 0 hi
cat "$work/base" >>"$work/out"
check 'r["adapter_id"] == "a" and r["token_ids"] == lines[1]["token_ids"]' 'scale 0 is the base model'
# What follows the last "=" is a scale only if it is a number.
greedy --json --load "a=$adapter-0" --adapter a=0 hi
cat "$work/base" >>"$work/out"
check 'r["adapters"] == [{"id": "a", "generation": 1, "scale": 0}] and r["token_ids"] == lines[1]["token_ids"]' 'ID=SCALE'
greedy --json --load "a=$adapter-0" --adapter a=0.5 hi
mv "$work/out" "$work/half"
greedy --json --load "a=$adapter-0" --adapters a --adapter-scale 0.5 hi
cat "$work/half" >>"$work/out"
check 'r["token_ids"] == lines[1]["token_ids"] and r["adapters"][0]["scale"] == 0.5' 'the scale in two ways'
expect_error 3 "adapter 'a=x' is not loaded" generate --threads 1 -m "$model" --adapter a=x hi
expect_error 3 "adapter 'a=1' is not loaded" generate --threads 1 -m "$model" --adapter a=1=2 hi
expect_error 3 '--adapter-scale: the adapter has the scale 2 already' generate -m "$model" --adapter a=2 --adapter-scale 1 hi
expect_error 3 '--adapter-scale: there are 2 adapters' generate -m "$model" --adapter a --adapter b --adapter-scale 1 hi
expect_ok generate --threads 1 -m "$model" -n 1 --json --load "a=$adapter-0" --load "b=$adapter-1" \
    --adapter a=0.4 --adapter b hi
check '[(a["id"], a["generation"], a["scale"]) for a in r["adapters"]] == [("a", 1, 0.4), ("b", 2, 1)]'
check 'r["adapter_id"] is None and r["adapter_generation"] == 0 and r["mean_adapters"] == 2' 'several adapters'
greedy --json --load "a=$adapter-0" --load "b=$adapter-1" --adapter a=0 --adapter b=0.5 --adapter b=0.5 hi
mv "$work/out" "$work/halves"
greedy --json --load "b=$adapter-1" --adapter b hi
cat "$work/halves" >>"$work/out"
check 'r["token_ids"] == lines[1]["token_ids"] and len(lines[1]["adapters"]) == 3' 'two halves are a whole'
expect_error 3 "adapter 'c' is not loaded" generate --threads 1 -m "$model" --load "a=$adapter-0" --adapter a --adapter c hi
expect_error 5 '--adapter: the vllm provider takes one a request, and 2 are given' \
    generate -p vllm -u http://127.0.0.1:1 -m x --adapter a --adapter b hi
expect_error 5 '--adapter: the ollama provider takes one a request, and 2 are given' \
    generate -p ollama -u http://127.0.0.1:1 -m x --adapter a --adapter b hi
greedy --json --adapter "" hi
check 'r["adapter_id"] is None' 'an empty id is no adapter'
run generate --threads 1 -m "$model" --temperature 0 -n 8 --json --load "a=$adapter-1" \
    --load "a=$adapter-0" --adapter a hi
[ "$status" -eq 0 ] && grep -q "warning: --load: 'a' was loaded before" "$work/err" ||
    fail 'one id twice is not said'
mv "$work/out" "$work/replaced"
greedy --json --load "a=$adapter-0" --adapter a hi
cat "$work/replaced" >>"$work/out"
check 'r["token_ids"] == lines[1]["token_ids"] and lines[1]["adapter_generation"] == 2' 'the later of one id'
run generate --threads 1 -m "$model" -n 1 --max-adapters 1 --adapter-overflow evict \
    --load "a=$adapter-0" --load "b=$adapter-1" --adapter b hi
[ "$status" -eq 0 ] && grep -q "made room for 'b' by unloading a" "$work/err" ||
    fail 'an eviction is not said'
expect_error 3 '--adapter-scale: there is no --adapter ' generate -m "$model" --adapter-scale 0.5 hi
expect_error 8 "b=$adapter-0" generate -m "$model" --load "a=b=$adapter-0" --adapter a hi
expect_error 3 "adapter 'x' is not loaded" generate --threads 1 -m "$model" --load "a=$adapter-0" --adapter x hi
expect_error 8 'none' generate --threads 1 -m "$model" --load "a=$work/none" hi
for wrong in nothing "=$adapter-0" "a="; do
    expect_usage "--load takes ID=PATH" generate --threads 1 -m "$model" --load "$wrong" hi
done

expect_warning "--load a: no request used it" generate --threads 1 -m "$model" -n 1 --load "a=$adapter-0" hi
expect_ok generate --threads 1 -m "$model" -n 1 --quiet --load "a=$adapter-0" hi

# ---- the model and its settings
expect_error 3 '--kv-budget: 0' generate -m "$model" --kv-budget 0 hi
expect_ok generate --threads 1 -m "$model" -n 1 --timeout 1e20 hi
expect_error 3 '"messages" is no variable' generate --threads 1 -m "$model" --chat \
    --template-variables '{"messages":[]}' hi
expect_error 3 '"add_generation_prompt" is set by the call' generate --threads 1 -m "$model" --chat \
    --template-variables '{"add_generation_prompt":false}' hi
expect_ok generate -m "$model" -n 2 -p LlamaCpp --dtype auto --device cpu --threads 1 --ctx 128 \
    --gpu-layers 0 --max-sequences 2 --queue-limit 4 --prefill-chunk 16 --flash-attention off \
    --adapter-execution shared --kv-budget 64 --max-adapters 3 --max-adapter-bytes 1000000 \
    --adapter-overflow evict hi
expect_ok generate -u "$model" -p llamacpp --threads 1 -n 2 hi
LLAMACPP_MODEL_PATH=$model INFERENCE_PROVIDER=llamacpp
export LLAMACPP_MODEL_PATH INFERENCE_PROVIDER
expect_ok generate -n 2 hi
unset LLAMACPP_MODEL_PATH
expect_error 3 'LLAMACPP_MODEL_PATH' generate -n 2 hi
unset INFERENCE_PROVIDER
expect_error 5 '--dtype: a GGUF file has its own types, float16' generate --threads 1 -m "$model" --dtype float16 hi
expect_error 5 '--device: cuda is not there for this build' generate --threads 1 -m "$model" --device cuda hi
expect_error 3 '--device: cpu and --gpu-layers 3 contradict' generate --threads 1 -m "$model" --device cpu --gpu-layers 3 hi
expect_error 3 'both name the model' generate --threads 1 -m "$model" -u "$model" hi
expect_ok generate --threads 1 -m "$model" -u '' -n 2 hi
expect_error 3 'nonesuch.*vllm.*ollama.*llamacpp.*transformers' generate -p nonesuch -m "$model" hi
expect_error 17 '127.0.0.1:1' generate -u http://127.0.0.1:1 hi
expect_error 17 '127.0.0.1:1' generate -p ollama -u http://127.0.0.1:1 hi
expect_error 8 'config.json' generate -m "$fixtures" hi
expect_error 12 'raise --max-adapters' generate --threads 1 -m "$model" --max-adapters 1 --load "a=$adapter-0" --load "b=$adapter-1" hi
for wrong in "--ctx 0" "--ctx 15" "--ctx -5" "--max-sequences 0" "--max-sequences 65" "--threads -1" \
    "--queue-limit -1" "--prefill-chunk 0"; do
    expect_error 3 "${wrong%% *}" generate --threads 1 -m "$model" $wrong hi
done
cpus=$(python3 -c 'import os; print(len(os.sched_getaffinity(0)))')
expect_warning "--threads $((cpus + 1)): this process has [1-9][0-9]* CPUs; " generate -m "$model" -n 1 --threads $((cpus + 1)) hi
expect_warning '--ctx 513: the model was trained on 512 tokens' generate --threads 1 -m "$fixtures/llama/base.gguf" --ctx 513 -n 1 hi
expect_ok generate --threads 1 -m "$fixtures/llama/base.gguf" --ctx 512 -n 1 hi
if "$INFERENCE" --version | grep -q '^backends: CPU$'; then
    expect_warning '--gpu-layers 5: there is no device for them' generate --threads 1 -m "$fixtures/llama/base.gguf" --gpu-layers 5 -n 1 hi
    expect_ok generate --threads 1 -m "$fixtures/llama/base.gguf" --gpu-layers -1 -n 1 hi
    ! grep -q 'layers' "$work/err" || fail "a warning of layers that nobody asked for"
fi

# ---- no server and no model, or something that may be meant as either
expect_error 3 'no model and no server is given: -m FILE' generate hi
expect_error 3 'no model and no server is given: -m FILE' adapters list
expect_error 3 'no model and no server is given: -m FILE' adapters load "a=$adapter-0"
expect_error 3 'no model and no server is given: -m FILE' adapters unload a
for command in tokenize detokenize render "logits --ids 1"; do
    expect_error 3 'no model is given: -m names a GGUF file or a checkpoint' $command
    ! grep -Eq -- '-u|-p' "$work/err" || fail "$command offers a server, which cannot answer it"
    VLLM_BASE_URL=http://127.0.0.1:9/v1 INFERENCE_PROVIDER=vllm "$INFERENCE" $command </dev/null >"$work/out" 2>"$work/err"
    status=$?
    is_error 3 'no model is given: -m names a GGUF file or a checkpoint' "$command with a server's variable"
    expect_error 3 "-m nosuchmodel is no GGUF file or checkpoint's directory here" $command -m nosuchmodel
done
# Whatever listens on port 8100, or nothing: where the text goes is said first.
asks_by_name() { # MODEL
    run generate -m "$1" -n 1 hi
    head -n 1 "$work/err" | grep -q "^inference: warning: -m $1 is no file or directory here.* vllm at http://localhost:8100/v1 is asked" ||
        fail "-m $1 goes to a server without a word"
}
asks_by_name nosuchmodel
asks_by_name org/name
INFERENCE_PROVIDER=vllm
export INFERENCE_PROVIDER
asks_by_name org/name
asks_by_name smol
unset INFERENCE_PROVIDER
for option in "--dtype q8_0" "--ctx 100" "--device cpu" "--threads 1"; do
    expect_error 3 "${option% *} is for a model that runs here, and -m org/name is no file" generate -m org/name $option hi
    expect_error 3 'no model and no server is given: -m FILE' generate $option hi
done
for name in "$work/no-such-directory" ./models ../x; do
    run generate -m "$name" hi
    is_error "$status" "is no file or directory here|$name: No such file" "-m $name"
done
for name in Llama-3.2-1B.Q4.ggf model.safetensors pytorch_model.BIN; do
    expect_error 3 "-m .* is no file or directory here; should it be the name" generate -m "$name" hi
done
expect_error 8 'nosuch.gguf' generate -m nosuch.gguf hi
run generate -q -m mistyped hi
[ "$status" -ne 17 ] || is_error 17 '8100.* -m mistyped is no file here' 'a mistyped -m and --quiet'

# ---- JSON that readers understand differently
printf '[{"role":"user",\n "\303\251":1, "role":"user","content":"hi"}]' >"$work/twice"
expect_error 3 '^inference: --messages: line 2 column 9: a key stands twice' generate -m "$model" -n 1 --messages "$work/twice"
expect_error 3 '^inference: --template-variables: line 1 column 8: a key stands twice' \
    generate -m "$model" -n 1 --chat --template-variables '{"a":1,"a":2}' hi
printf '[{"role":"user","content":"\\ud800"}]' >"$work/half"
expect_error 3 '^inference: --messages: line 1 column 28: half of a surrogate pair' generate -m "$model" -n 1 --messages "$work/half"
printf '\357\273\277{"a":1}' >"$work/variables"
expect_ok generate -m "$model" --threads 1 -n 1 --chat --template-variables "$(cat "$work/variables")" hi
expect_ok generate -m "$model" --threads 1 -n 1 --chat --template-variables "@$work/variables" hi

# ---- what a flag is called is what was typed
expect_error 3 '^inference: -n: 0 ' generate -m "$model" -n 0 hi
expect_error 3 '^inference: --max-tokens: 0 ' generate -m "$model" --max-tokens=0 hi
expect_error 3 '^inference: --timeout: 0 ' generate -m "$model" --timeout 0 hi
expect_error 3 '^inference: --timeout: -5 is neither above 0 nor none, which is no limit' generate -m "$model" --timeout -5 hi
expect_error 3 '^inference: --timeout-ms: -5 is neither above 0 nor none' generate -m "$model" --timeout-ms -5 hi
expect_error 3 '^inference: --queue-timeout: -0.5 is neither' generate -m "$model" --queue-timeout -0.5 hi
expect_error 16 'within --queue-timeout, 1 ms; raise it .none: no limit' generate -m "$model" --threads 1 --queue-timeout 0.001 hi
expect_error 5 '^inference: --adapter ID=SCALE: vLLM cannot' generate -p vllm -u http://127.0.0.1:9/v1 -m x --adapter a=0.5 hi
expect_error 5 '^inference: --adapter-scale: vLLM cannot' generate -p vllm -u http://127.0.0.1:9/v1 -m x --adapter a --adapter-scale 0.5 hi
expect_error 3 "^inference: -u: 'nonsense' is no http" generate -p vllm -u nonsense -m x hi
expect_error 3 '^inference: -u ends in the route' generate -p vllm -u http://h/v1/chat/completions -m x hi
expect_error 3 '^inference: -u ends in the route /responses.*give the base: http://h/v1' generate -p vllm -u http://h/v1/responses -m x hi
VLLM_BASE_URL=nonsense OLLAMA_BASE_URL=http://h/v1/chat/completions
export VLLM_BASE_URL OLLAMA_BASE_URL
expect_error 3 "^inference: VLLM_BASE_URL: 'nonsense' is no http" generate -m x hi
expect_error 3 '^inference: OLLAMA_BASE_URL ends in the route' generate -p ollama -m x hi
expect_error 3 "^inference: --url: 'other' is no http" generate -p vllm --url other -m x hi
unset VLLM_BASE_URL OLLAMA_BASE_URL
expect_error 3 '^inference: --timeout-ms: 0 ' generate -m "$model" --timeout-ms 0 hi

# ---- verbose, quiet
run generate --threads 1 -m "$model" -n 1 --verbose hi
[ "$status" -eq 0 ] && grep -q '^inference: debug: ' "$work/err" || fail '--verbose tells nothing'
expect_ok generate -q -m "$model" -n 1 --threads $((cpus + 1)) hi
expect_usage 'contradict' generate -q -v -m "$model" hi

# ---- byte order marks
printf '\357\273\277[{"role":"user","content":"hi"}]' >"$work/marked"
expect_ok generate --threads 1 -m "$model" -n 1 --messages "$work/marked"
printf '\357\273\277{"enum":["red"]}' >"$work/marked"
expect_ok generate --threads 1 -m "$model" -n 20 --json --json-schema "@$work/marked" hi
check 'json.loads(r["text"]) == "red"'
printf '\357\273\277root ::= "x"' >"$work/marked"
expect_ok generate --threads 1 -m "$model" -n 20 --json --grammar "@$work/marked" hi
check 'r["text"] == "x"'
expect_ok generate --threads 1 -m "$model" -n 1 --chat --template-variables "$(printf '\357\273\277{"x":1}')" hi

# ---- an error keeps what came before it
run generate --threads 1 -m "$model" --ctx 16384 -q -n 16000 --ignore-eos --json --timeout 0.5 hi
[ "$status" -eq 16 ] || fail 'no timeout'
check 'r["error"]["code"] == "timeout" and r["completion_tokens"] > 0 and r["text"] and r["finish_reason"] is None' \
    'a timeout with --json'

# ---- usage
expect_usage 'a PROMPT, --messages FILE or --batch FILE is missing' generate --threads 1 -m "$model"
expect_usage "one PROMPT, not also 'b'" generate --threads 1 -m "$model" a b
expect_usage 'the prompt is given twice' generate --threads 1 -m "$model" --prompt a b
expect_usage 'not both' generate --threads 1 -m "$model" --messages "$work/messages" a
expect_usage '--chat is for a PROMPT' generate --threads 1 -m "$model" --messages "$work/messages" --chat
expect_usage 'with --batch' generate --threads 1 -m "$model" --batch - a
expect_usage 'does not go with --batch' generate --threads 1 -m "$model" --batch - --no-stream
expect_usage '--logprobs needs --json' generate --threads 1 -m "$model" --logprobs 1 a
expect_usage 'unknown option --no-such' generate --no-such a
expect_usage 'unknown option -x' generate -x a
expect_usage '--json takes no value' generate --json=1 a
expect_usage '--top-k needs a value' generate a --top-k
expect_usage "-n takes a whole number up to 2147483647, not 'x'" generate -n x a
expect_usage "takes a whole number" generate -n 99999999999 a
expect_usage "takes a whole number" generate -n 1.5 a
expect_usage "takes a number" generate --temperature warm a
expect_usage "takes a whole number from 0 to 18446744073709551615" generate --seed -1 a
expect_usage "takes a whole number from 0 to 18446744073709551615" generate --seed 18446744073709551616 a
expect_usage "takes a list of token ids" generate --stop-token-ids 1,,2 a
expect_usage "takes a number" generate --timeout nan a
expect_usage "takes auto" generate --dtype int3 a
expect_usage "takes auto" generate --flash-attention maybe a
expect_usage "unknown option --ids" generate --ids 1 a
expect_usage 'a command is missing'
expect_usage "no command 'produce'" produce
expect_usage "no command" ''
expect_usage "no command 'generat'; did you mean generate[?]" generat
expect_usage "no command 'generat'; did you mean generate[?]" help generat
expect_usage 'unknown option --temprature; did you mean --temperature[?]' generate --temprature 1 a
expect_usage "no command 'hlep'; did you mean help[?]" hlep
expect_usage "no command 'GENERATE'; did you mean generate[?]" GENERATE
expect_usage "no command '--hepl'; did you mean --help[?]" --hepl
expect_usage "no command '--verison'; did you mean --version[?]" --verison
expect_usage 'unknown option --hepl; did you mean --help[?]' generate --hepl
expect_usage 'unknown option --MAX-TOKENS; did you mean --max-tokens[?]' generate --MAX-TOKENS 1 a
expect_usage 'unknown option --max-token; did you mean --max-tokens[?]' generate --max-token=1 a
expect_usage 'unknown option --base-ulr; did you mean --base-url[?]' render --base-ulr x
expect_usage 'unknown option -5; a prompt that begins with a dash stands behind --' generate '-5 degrees'
expect_usage 'unknown option --- a list; a prompt that begins' generate '--- a list'
expect_usage "unknown option" generate "--$(printf 'a\nb\377')" a

finish
