#!/bin/sh
# `inference adapters` and `inference inspect`: what is loaded, what a file is, whether it fits.
. "${0%/*}/lib.sh"

llama=$fixtures/llama

# ---- adapters
expect_output '' adapters list -m "$model"
expect_output '' adapters list -m "$model" --json
expect_output 'a: PEFT, rank 2, scale 4, 2 modules from 4 tensors, 1280 bytes
' adapters load -m "$model" "a=$adapter-0"
expect_ok adapters load -m "$model" --json "a=$adapter-0"
check 'r["id"] == "a" and r["format"] == "peft" and r["rank"] == 2 and r["scale"] == 4 and r["n_modules"] == 2 and r["n_tensors"] == 4 and r["bytes"] > 0 and r["generation"] == 1 and r["replaced"] is False and r["evicted"] is None'
expect_error 4 "adapter 'a' is not loaded" adapters unload -m "$model" a
expect_error 8 'none' adapters load -m "$model" "a=$work/none"
expect_error 10 'tensor|layers' adapters load -m "$model" "a=$INFERENCE_SOURCE_DIR/adapters/pirate"
expect_error 9 '.' adapters load -m "$model" "a=$INFERENCE_SOURCE_DIR/README.md"
expect_error 3 'LLAMACPP_MODEL_PATH' adapters load -p llamacpp "a=$adapter-0"
expect_error 5 'vllm' adapters list
long=$(printf '%0300d' 0)
expect_error 3 'adapter id' adapters load -m "$model" "$long=$adapter-0"
expect_error 3 'adapter id' adapters load -m "$model" "a	b=$adapter-0"
expect_ok adapters load -m "$model" "Grüße, Welt=$adapter-0"
expect_error 12 'max_adapter_bytes' adapters load -m "$model" --max-adapter-bytes 1279 "a=$adapter-0"
expect_ok adapters load -m "$model" --max-adapter-bytes 1280 "a=$adapter-0"
expect_usage "list, load or unload, not ''" adapters
expect_usage "list, load or unload, not 'show'" adapters show
expect_usage 'load needs ID=PATH' adapters load -m "$model"
expect_usage 'unload needs an ID' adapters unload -m "$model"
expect_usage "'a' is not ID=PATH" adapters load -m "$model" a
expect_usage "'=b' is not ID=PATH" adapters load -m "$model" =b
expect_usage "'x' is too much" adapters list x
expect_usage "'b' is too much" adapters unload a b

# Every damaged or unsupported PEFT directory of the fixtures: one line, an error of its class.
for folder in "$peft"/*/; do
    name=$(basename "$folder")
    run adapters load -m "$llama/base.gguf" "a=$folder"
    case $name:$status in
    ok*:0) [ ! -s "$work/err" ] || fail "$name: something on standard error" ;;
    ok*:10) ;; # sound, and for another model
    ok*) fail "$name: exit code $status" ;;
    *:3 | *:5 | *:8 | *:9 | *:10 | *:11) is_error "$status" . "$name" ;;
    *) fail "$name: exit code $status" ;;
    esac
done

# ---- inspect
expect_ok inspect --json "$model"
check 'r["kind"] == "model" and r["format"] == "gguf" and r["architecture"] == "llama" and r["dtype"] == "float32" and r["n_layer"] == 1 and r["n_vocab"] == 288 and r["size"] > 100000 and r["chat_template"] is True'
expect_ok inspect "$model"
python3 -c 'import json, sys; sys.exit(json.load(open(sys.argv[1]))["kind"] != "model")' "$work/out" ||
    fail 'inspect is not JSON'
[ "$(wc -l <"$work/out")" -gt 10 ] || fail 'inspect is for people: a line a fact'
expect_ok inspect --json "$adapter-0"
check 'r["kind"] == "adapter" and r["format"] == "peft" and r["rank"] == 2 and r["alpha"] == 8 and r["targets"] == ["q_proj", "v_proj"] and r["dtype"] == "bfloat16" and r["size"] > 0 and "fits" not in r'
expect_ok inspect --json "$adapter-0" --base "$model"
check 'r["fits"] is True and "reason" not in r'
expect_ok inspect --json --base "$llama/base.gguf" "$INFERENCE_SOURCE_DIR/adapters/pirate"
check 'r["fits"] is False and "tensor" in r["reason"]'
for name in llama mistral qwen2 qwen3 gemma2 gemma3 phi3 smollm3 gpt2; do
    expect_ok inspect --json "$fixtures/$name/base.gguf"
    mv "$work/out" "$work/architecture"
    expect_ok inspect --json "$fixtures/$name/adapter" --base "$fixtures/$name/base.gguf"
    cat "$work/architecture" >>"$work/out"
    check 'r["fits"] is True and lines[1]["kind"] == "model" and lines[1]["architecture"]' "$name"
done
expect_error 8 'none' inspect "$work/none"
expect_error 8 'none' inspect "$adapter-0" --base "$work/none"
expect_error 9 '.' inspect "$INFERENCE_SOURCE_DIR/README.md"
expect_error 9 '.' inspect "$adapter-0" --base "$INFERENCE_SOURCE_DIR/README.md"
expect_usage 'PATH is missing' inspect
expect_usage 'one PATH at a time' inspect "$model" "$model"

finish
