#!/bin/sh
# What adapters do beside plain LoRA: the same numbers on a GGUF file as on the checkpoint that it was made of
# (whose numbers are PEFT's: tests/parity), alone as in one batch; and what a request may not ask of them.
. "${0%/*}/lib.sh"

llama=$fixtures/llama
base=$llama/base.gguf
kinds='ok-dora ok-lora-bias ok-modules-to-save ok-embedding-lora ok-tokens'
ids=5,17,287,7,99,7,3
if ! python3 -B "$INFERENCE_SOURCE_DIR/scripts/gguf_checkpoint.py" "$base" "$work/checkpoint" >"$work/out" 2>"$work/err"; then
    fail 'the checkpoint is not made'
    finish
fi

# logits OUT MODEL ARGUMENT...: of all tokens.
logits() {
    out=$1
    shift
    expect_ok logits -m "$@" --threads 2 --ids $ids --top 288
    mv "$work/out" "$out"
}

# differs FILE FILE MOST|above:LEAST
differs() {
    python3 - "$@" <<'PYTHON'
import json, sys
one, two = (dict(map(tuple, json.load(open(path))["top"])) for path in sys.argv[1:3])
found = max(abs(one[i] - two[i]) for i in one)
bound = sys.argv[3]
sys.exit(not (found > float(bound[6:]) if bound.startswith("above:") else found <= float(bound)))
PYTHON
}

# ---- inspect
expect_ok inspect --json "$peft/ok"
check 'r["kinds"] == ["lora"]'
expect_ok inspect --json "$peft/ok-dora" --base "$base"
check 'r["kinds"] == ["use_dora"] and r["n_modules"] == 4 and r["n_tensors"] == 12 and r["fits"] is True'
expect_ok inspect --json "$peft/ok-tokens" --base "$base"
check 'r["kinds"] == ["lora", "trainable_token_indices"] and r["fits"] is True'
expect_ok inspect "$peft/ok-embedding-lora"
grep -q 'lora_embedding' "$work/out" || fail 'inspect for people names no kinds'

# ---- the numbers
logits "$work/base" "$base"
for kind in $kinds; do
    for scale in 1 0.5; do
        case $kind:$scale in ok-tokens:0.5 | ok-modules-to-save:0.5) continue ;; esac
        logits "$work/gguf-$scale" "$base" --load "a=$peft/$kind" --adapter "a=$scale"
        logits "$work/checkpoint-$scale" "$work/checkpoint" --dtype float32 --load "a=$peft/$kind" --adapter "a=$scale"
        differs "$work/gguf-$scale" "$work/checkpoint-$scale" 1e-4 || fail "$kind*$scale: other numbers than the checkpoint's"
        differs "$work/gguf-$scale" "$work/base" above:1e-2 || fail "$kind*$scale: those of the base"
    done
    logits "$work/quantised" "$work/checkpoint" --dtype q8_0 --load "a=$peft/$kind" --adapter a
    differs "$work/quantised" "$work/gguf-1" 0.5 || fail "$kind: far from it when the weights are quantised"
done
logits "$work/gguf-0" "$base" --load "a=$peft/ok-dora" --adapter a=0
differs "$work/gguf-0" "$work/base" above:1e-2 || fail 'DoRA with scale 0 has no lengths of its own'
logits "$work/gguf-0" "$base" --load "a=$peft/ok-lora-bias" --adapter a=0
differs "$work/gguf-0" "$work/base" 1e-5 || fail 'lora_bias with scale 0 has a bias'

# ---- in one batch, several a request: the tokens of each alone
mixes='ok-dora ok-lora-bias ok-modules-to-save ok-embedding-lora ok-tokens
ok ok-dora+ok ok+ok-dora ok-tokens+ok-lora-bias ok-modules-to-save+ok-dora'
loads=$(for kind in $kinds ok; do printf -- '--load %s=%s/%s ' "$kind" "$peft" "$kind"; done)
: >"$work/batch"
for mix in $mixes; do
    adapters=$(echo "$mix" | sed 's/+/"},{"id":"/; s/.*/[{"id":"&"}]/')
    echo "{\"id\":\"$mix\",\"prompt\":\"hi there\",\"adapters\":$adapters}" >>"$work/batch"
done
# shellcheck disable=SC2086
until_holds 'sum(line["mean_rows"] > 2 and line["mean_adapters"] > 2 for line in lines) > 5' \
    expect_ok generate -m "$base" --threads 2 --temperature 0 -n 12 --ignore-eos $loads --batch "$work/batch"
mv "$work/out" "$work/together"
for mix in $mixes; do
    flags=$(echo "$mix" | sed 's/+/ --adapter /; s/^/--adapter /')
    # shellcheck disable=SC2086
    expect_ok generate -m "$base" --threads 2 --temperature 0 -n 12 --ignore-eos --quiet $loads $flags --json 'hi there'
    cat "$work/together" >>"$work/out"
    check "r['token_ids'] == next(line['token_ids'] for line in lines[1:] if line['id'] == '$mix')" "$mix alone"
done
cp "$work/together" "$work/out"
check 'len({str(line["token_ids"]) for line in lines}) > 4' 'the adapters make a difference'

# ---- what has no scale, and what cannot be had together
for kind in ok-tokens ok-modules-to-save; do
    expect_error 3 "'a' replaces .* scale 1" generate -m "$base" --threads 1 --load "a=$peft/$kind" --adapter a=0.5 -n 1 hi
    expect_error 3 "scale 1" logits -m "$base" --threads 1 --load "a=$peft/$kind" --adapter a=0.5 --ids 1
    expect_error 3 "'a' replaces .*'b' changes too" generate -m "$base" --threads 1 --load "a=$peft/$kind" \
        --load "b=$peft/$kind" --adapter a --adapter b -n 1 hi
done
expect_error 3 "replaces token_embd.weight, which adapter 'e' changes" generate -m "$base" --threads 1 \
    --load "e=$peft/ok-embedding-lora" --load "t=$peft/ok-tokens" --adapter e --adapter t -n 1 hi
expect_ok generate -m "$base" --threads 1 --load "e=$peft/ok-embedding-lora" --load "t=$peft/ok-modules-to-save" \
    --adapter e --adapter t -n 1 hi
for kind in $kinds; do
    expect_error 5 'native adapters have not' adapters load -m "$base" --adapter-execution native "a=$peft/$kind"
done

# ---- an adapter of a whole model, its tower for images too: what text does not reach is left out
cat >"$work/tower.py" <<'PYTHON'
import json, shutil, struct, sys
source, both, alone = sys.argv[1:]
data = open(source + "/adapter_model.safetensors", "rb").read()
start = 8 + struct.unpack("<Q", data[:8])[0]
header, body = json.loads(data[8:start]), data[start:]
config = json.load(open(source + "/adapter_config.json"))
def write(folder, header, body):
    shutil.copytree(source, folder)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    open(folder + "/adapter_model.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + body)
tower = "base_model.model.model.vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.lora_"
rank, at, more, floats = config["r"], len(body), {}, b""
for name, shape in (("A", [rank, 24]), ("B", [24, rank])):
    size = 4 * shape[0] * shape[1]
    more[tower + name + ".weight"] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
    at, floats = at + size, floats + struct.pack("<f", 0.5) * (size // 4)
write(both, {**header, **more}, body + floats)
alone_more = {k: {**v, "data_offsets": [x - len(body) for x in v["data_offsets"]]} for k, v in more.items()}
write(alone, alone_more, floats)
PYTHON
gemma=$fixtures/gemma3
if python3 -B "$work/tower.py" "$gemma/adapter" "$work/both" "$work/alone" 2>"$work/err" >"$work/out"; then
    expect_ok logits -m "$gemma/base.gguf" --threads 1 --ids 5,17,28 --load "a=$gemma/adapter" --adapter a
    mv "$work/out" "$work/without"
    expect_ok logits -m "$gemma/base.gguf" --threads 1 --ids 5,17,28 --load "a=$work/both" --adapter a
    cmp -s "$work/out" "$work/without" || fail 'a tower for images changes what text gives'
    expect_error 10 'changes nothing of the text model|selects' adapters load -m "$gemma/base.gguf" "a=$work/alone"
    expect_error 10 'does not have' adapters load -m "$llama/base.gguf" "a=$work/alone"
else
    fail 'no adapter with a tower'
fi
finish
