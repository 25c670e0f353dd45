#!/bin/sh
# A Hugging Face checkpoint through the command: what of it tells that it is one, and that it answers as the
# GGUF file with the same numbers does.
. "${0%/*}/lib.sh"

dir=$work/model
python3 -B "$INFERENCE_SOURCE_DIR/scripts/gguf_checkpoint.py" "$model" "$dir" || exit 1

# ---- what it is
expect_ok inspect --json "$dir"
check 'r["kind"] == "model" and r["format"] == "transformers" and r["model_type"] == "llama"'
check 'r["dtype"] == "float32" and r["n_vocab"] == 288 and r["n_ctx_train"] == 8192 and r["chat_template"]'
check 'r["max_window"] is None and r["eos_token_ids"] == [282]'
check '0 < r["copied_bytes"] < r["size"] / 10' 'q, k and norms alone are copied'
parameters=$(sed -n 's/.*"n_parameters": *\([0-9]*\).*/\1/p' "$work/out")
expect_ok inspect --json "$adapter-1" --base "$dir"
check 'r["fits"]'
expect_error 3 'only an adapter is held against a base' inspect "$dir" --base "$dir"

# ---- rope's factors are computed from the config: no parameters
cp -r "$dir" "$work/roped"
python3 -B - "$work/roped/config.json" <<'PYTHON' || exit 1
import json, sys
config = json.load(open(sys.argv[1]))
config["rope_parameters"] = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
                             "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
json.dump(config, open(sys.argv[1], "w"))
PYTHON
expect_ok inspect --json "$work/roped"
check "r[\"n_parameters\"] == $parameters"

# ---- the same numbers
for what in "" "--load a=$adapter-1 --adapter a"; do
    # shellcheck disable=SC2086
    expect_ok logits -m "$model" --threads 1 --ids 5,6,7,8 --top 20 $what
    mv "$work/out" "$work/theirs"
    # shellcheck disable=SC2086
    expect_ok logits -m "$dir" --threads 1 --ids 5,6,7,8 --top 20 $what
    cat "$work/theirs" >>"$work/out"
    check 'lines[0] == lines[1]' "logits of both $what"
done
expect_ok logits -m "$dir" --threads 1 --dtype bfloat16 --ids 5,6,7,8 --top 288
cp "$work/out" "$work/rounded"
expect_ok logits -m "$dir" --threads 1 --ids 5,6,7,8 --top 288
cat "$work/rounded" >>"$work/out"
check 'r != lines[1] and all(abs(dict(map(tuple, r["top"]))[i] - v) < 0.2 for i, v in lines[1]["top"])'

# ---- texts
printf 'Hello, wide world!' >"$work/text"
input=$work/text
expect_ok tokenize -m "$model"
mv "$work/out" "$work/theirs"
expect_ok tokenize -m "$dir"
cmp -s "$work/out" "$work/theirs" || fail 'tokens of both'
cp "$work/out" "$work/ids"
input=$work/ids
expect_ok detokenize -m "$dir"
[ "$(cat "$work/out")" = 'Hello, wide world!' ] || fail 'back again'
printf '[{"role":"user","content":"hi"}]' >"$work/messages"
input=$work/messages
expect_ok render -m "$model"
mv "$work/out" "$work/theirs"
expect_ok render -m "$dir"
cmp -s "$work/out" "$work/theirs" || fail 'templates of both'
mkdir "$work/texts"
cp "$dir"/token* "$dir"/chat_template.jinja "$work/texts"
expect_ok render -m "$work/texts"
cmp -s "$work/out" "$work/theirs" || fail 'a template needs no weights'
input=/dev/null
expect_error 8 'config.json' generate -m "$work/texts" hi

# ---- requests with different adapters share steps
printf '%s\n' '{"id":"b","prompt":"hello"}' '{"id":"0","prompt":"hello","adapter_id":"a0"}' \
    '{"id":"1","prompt":"hello","adapter_id":"a1"}' '{"id":"2","prompt":"hello","adapter_id":"a2"}' >"$work/lines"
input=$work/lines
set -- --threads 1 --ignore-eos -n 64 --temperature 0 \
    --load "a0=$adapter-0" --load "a1=$adapter-1" --load "a2=$adapter-2" --batch -
expect_ok generate -m "$model" "$@"
mv "$work/out" "$work/theirs"
until_holds 'max(l["mean_rows"] for l in lines) > 1.5 and max(l["mean_adapters"] for l in lines) > 1' \
    expect_ok generate -m "$dir" "$@"
check 'len(lines) == 4 and all("error" not in l for l in lines)'
cat "$work/theirs" >>"$work/out"
# the checkpoint's cache is in float32: where two tokens are close it chooses otherwise than the file's in float16
check '{l["id"]: l["token_ids"][:12] for l in lines[:4]} == {l["id"]: l["token_ids"][:12] for l in lines[4:]}' 'both alike'
input=/dev/null

# ---- a folder with a tokenizer alone says what is wrong with that
mkdir "$work/alone"
input=$work/text
cp "$dir/tokenizer.json" "$work/alone"
expect_ok tokenize -m "$work/alone"
python3 -B - "$work/alone/tokenizer.json" <<'PYTHON' || exit 1
import json, sys
tokenizer = json.load(open(sys.argv[1]))
tokenizer["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": "[a[b]]"}, "behavior": "Isolated", "invert": False}
json.dump(tokenizer, open(sys.argv[1], "w"))
PYTHON
expect_error 5 'a set inside a set' tokenize -m "$work/alone"
rm "$work/alone/tokenizer.json"
expect_error 8 'config.json' tokenize -m "$work/alone"
input=/dev/null

# ---- an id of the hub, in the local cache
commit=0123456789abcdef0123456789abcdef01234567
mkdir -p "$work/hub/models--somebody--tiny/refs" "$work/hub/models--somebody--tiny/snapshots"
printf '%s' $commit >"$work/hub/models--somebody--tiny/refs/main"
ln -s "$dir" "$work/hub/models--somebody--tiny/snapshots/$commit"
HF_HUB_CACHE=$work/hub
export HF_HUB_CACHE
expect_ok generate -m somebody/tiny --threads 1 -n 4 --json hi
check 'r["model"] == "somebody/tiny" and r["completion_tokens"] == 4'
expect_ok generate -m somebody/tiny@$commit --threads 1 -n 4 hi
expect_error 3 'nor in the local hub cache, where "hf download" puts' logits -m somebody/other --ids 1
expect_error 8 'hf download somebody/other' generate -p transformers -m somebody/other hi
unset HF_HUB_CACHE

# ---- the names of special tokens, and a template for chats with tools
cp -r "$dir" "$work/named"
python3 -B - "$work/named" <<'PYTHON' || exit 1
import json, os, sys
path = os.path.join(sys.argv[1], "tokenizer_config.json")
config = json.load(open(path)) if os.path.exists(path) else {}
plain = "{{ unk_token }} {{ image_token }} {{ own_token }} {{ sep_token is defined }} {{ tools }}"
config.update(unk_token="<unk>", image_token="<image>", extra_special_tokens={"own_token": "<own>"},
              chat_template=[{"name": "default", "template": plain}, {"name": "tool_use", "template": "{{ tools }}"}])
json.dump(config, open(path, "w"))
for name in ("chat_template.jinja", "special_tokens_map.json"):
    if os.path.exists(os.path.join(sys.argv[1], name)):
        os.remove(os.path.join(sys.argv[1], name))
PYTHON
input=$work/messages
printf '%s' '[{"role":"user","content":"hi"}]' >"$work/messages"
expect_output '<unk> <image> <own> False None' render -m "$work/named"
printf '%s' '{"messages":[{"role":"user","content":"hi"}],"tools":[{"a":1}]}' >"$work/messages"
expect_output "[{'a': 1}]" render -m "$work/named"
input=/dev/null

# ---- tokens of added_tokens.json, which older versions of transformers wrote: in the order of their ids
cp -r "$work/texts" "$work/added" # without a model, whose vocabulary would end before them
printf '{"<plain>": 290, "<tool>": 289, "<|y|>": 288}' >"$work/added/added_tokens.json"
python3 - "$work/added/tokenizer_config.json" <<'PYTHON'
import json, sys
content = json.load(open(sys.argv[1]))
content["additional_special_tokens"] = ["<|y|>"]
json.dump(content, open(sys.argv[1], "w"))
PYTHON
printf '"<tool><|y|><plain>"\n"<|y|>"\n"hi"\n' >"$work/lines"
input=$work/lines
expect_ok tokenize -m "$work/added" --no-special --jsonl
check 'lines[0] == [289, 288, 290] and lines[1] == [288] and all(i < 288 for i in lines[2])'
printf '[289, 288, 290]\n' >"$work/lines"
expect_ok detokenize -m "$work/added" --skip-special --jsonl
check 'r == "<tool><plain>"' 'the one that is named is special'
input=/dev/null
cp -r "$dir" "$work/damaged"
printf '{"<tool>": "289"}' >"$work/damaged/added_tokens.json"
expect_error 9 'added_tokens.json: .*whole number' generate -m "$work/damaged" hi

# ---- what it cannot be
expect_error 5 'cuda is not there' generate -m "$dir" --device cuda hi
cp -r "$dir" "$work/other"
sed 's/"llama"/"bert"/' "$dir/config.json" >"$work/other/config.json"
expect_error 5 '"bert", which this version does not load; it loads llama' generate -m "$work/other" hi
expect_error 5 '"bert"' inspect "$work/other"

finish
