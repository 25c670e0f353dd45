#!/bin/sh
# `inference adapters` and `inference inspect`: what is loaded, what a file is, whether it fits.
. "${0%/*}/lib.sh"

llama=$fixtures/llama

# ---- adapters
expect_output '' adapters list -m "$model"
expect_output '' adapters list -m "$model" --json
expect_output 'a: PEFT, rank 2, scale 4, 2 modules from 4 tensors, 1480 bytes
' adapters load -m "$model" "a=$adapter-0"
expect_ok adapters load -m "$model" --json "a=$adapter-0"
check 'r["id"] == "a" and r["format"] == "peft" and r["rank"] == 2 and r["scale"] == 4 and r["n_modules"] == 2 and r["n_tensors"] == 4 and r["bytes"] > 0 and r["generation"] == 1 and r["replaced"] is False and r["evicted"] is None'
expect_error 4 "adapter 'a' is not loaded" adapters unload -m "$model" a
expect_error 8 'none' adapters load -m "$model" "a=$work/none"
expect_error 10 'tensor|layers' adapters load -m "$model" "a=$INFERENCE_SOURCE_DIR/adapters/pirate"
expect_error 9 '.' adapters load -m "$model" "a=$INFERENCE_SOURCE_DIR/README.md"
expect_error 3 'LLAMACPP_MODEL_PATH' adapters load -p llamacpp "a=$adapter-0"
expect_error 17 '127.0.0.1:1' adapters list -u http://127.0.0.1:1
expect_error 5 'ollama' adapters load -p ollama -u http://127.0.0.1:1 "a=$adapter-0"
long=$(printf '%0300d' 0)
expect_error 3 'adapter id' adapters load -m "$model" "$long=$adapter-0"
expect_error 3 'adapter id' adapters load -m "$model" "a	b=$adapter-0"
expect_ok adapters load -m "$model" "Grüße, Welt=$adapter-0"
expect_error 12 '--max-adapter-bytes' adapters load -m "$model" --max-adapter-bytes 1479 "a=$adapter-0"
expect_ok adapters load -m "$model" --max-adapter-bytes 1480 "a=$adapter-0"
expect_usage "list, load or unload, not ''" adapters
expect_usage "list, load or unload, not 'show'" adapters show
expect_usage "no action 'lsit'; did you mean list[?]" adapters lsit
expect_usage "no action 'lod'; did you mean load[?]" adapters lod a=b
expect_usage "no action 'UNLOAD'; did you mean unload[?]" adapters UNLOAD a
expect_usage 'load needs ID=PATH' adapters load -m "$model"
expect_usage 'unload needs an ID' adapters unload -m "$model"
expect_usage "'a' is not ID=PATH" adapters load -m "$model" a
expect_usage "'=b' is not ID=PATH" adapters load -m "$model" =b
expect_usage "'x' is too much" adapters list x
expect_usage "'b' is too much" adapters unload a b

# ---- a PEFT directory in several files, as transformers writes a large one: the same numbers as in one
cat >"$work/shards.py" <<'PYTHON'
import json, shutil, struct, sys
source, target, index = sys.argv[1:]
data = open(source + "/adapter_model.safetensors", "rb").read()
start = 8 + struct.unpack("<Q", data[:8])[0]
entries = {name: info for name, info in json.loads(data[8:start]).items() if name != "__metadata__"}
where = {name: "adapter_model-0000%d-of-00003.safetensors" % (i % 3 + 1) for i, name in enumerate(sorted(entries))}
for file in set(where.values()):
    header, numbers = {}, b""
    for name in (name for name in entries if where[name] == file):
        begin, end = entries[name]["data_offsets"]
        header[name] = {**entries[name], "data_offsets": [len(numbers), len(numbers) + end - begin]}
        numbers += data[start + begin:start + end]
    text = json.dumps(header).encode()
    open(target + "/" + file, "wb").write(struct.pack("<Q", len(text)) + text + numbers)
json.dump({"metadata": {}, "weight_map": where}, open(target + "/" + index, "w"))
shutil.copy(source + "/adapter_config.json", target)
PYTHON
for index in adapter_model.safetensors.index.json model.safetensors.index.json; do
    rm -rf "$work/shards"
    mkdir "$work/shards"
    python3 -B "$work/shards.py" "$adapter-0" "$work/shards" "$index" || fail 'shards.py'
    for loaded in "$adapter-0" "$work/shards"; do
        expect_ok logits -m "$model" --load "a=$loaded" --adapter a --ids 1,2,3 --top 5
        cp "$work/out" "$work/logits-${loaded##*/}"
    done
    cmp -s "$work/logits-${adapter##*/}-0" "$work/logits-shards" || fail "$index: other numbers than of one file"
done
expect_ok inspect --json "$work/shards" --base "$model"
check 'r["fits"] is True and r["n_tensors"] == 4'
mv "$work/shards/adapter_model-00002-of-00003.safetensors" "$work/second"
expect_error 8 'adapter_model-00002-of-00003.safetensors' inspect "$work/shards"
cp "$work/shards/adapter_model-00001-of-00003.safetensors" "$work/shards/adapter_model-00002-of-00003.safetensors"
expect_error 9 'lies in two files' inspect "$work/shards"
printf '{"weight_map":{"x":"../adapter_config.json"}}' >"$work/shards/model.safetensors.index.json"
expect_error 9 'files beside it' inspect "$work/shards"

# ---- a GGUF adapter: the same numbers as the PEFT directory that it was made of
cat >"$work/convert.py" <<'PYTHON'
import json, struct, sys
folder, target, n_head = sys.argv[1], sys.argv[2], int(sys.argv[3])
data = open(folder + "/adapter_model.safetensors", "rb").read()
start = 8 + struct.unpack("<Q", data[:8])[0]
tensors = []
for name, info in sorted(json.loads(data[8:start]).items()):
    if name == "__metadata__":
        continue
    begin, end = info["data_offsets"]
    assert info["dtype"] == "BF16"
    rows, width = info["shape"]
    half = struct.unpack("<%dH" % (rows * width), data[start + begin:start + end])
    values = [struct.unpack("<f", struct.pack("<I", h << 16))[0] for h in half]
    table = [values[i * width:(i + 1) * width] for i in range(rows)]
    part = name.split(".")
    layer, module, side = part[part.index("layers") + 1], part[-3], part[-2][-1].lower()
    if module == "q_proj" and side == "b": # GGUF has the two halves of each head's rows interleaved
        size = rows // n_head
        table = [table[h * size + (i % 2) * (size // 2) + i // 2] for h in range(n_head) for i in range(size)]
    tensors.append(("blk.%s.attn_%s.weight.lora_%s" % (layer, module[0], side), width, rows,
                    struct.pack("<%df" % (rows * width), *[v for row in table for v in row])))
def text(s):
    return struct.pack("<Q", len(s)) + s.encode()
keys = [("general.architecture", 8, text("llama")), ("general.type", 8, text("adapter")),
        ("adapter.type", 8, text("lora")), ("adapter.lora.alpha", 6, struct.pack("<f", 8))]
out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
for key, kind, value in keys:
    out += text(key) + struct.pack("<I", kind) + value
offset = 0
for name, width, rows, values in tensors:
    out += text(name) + struct.pack("<IQQIQ", 2, width, rows, 0, offset)
    offset += (len(values) + 31) // 32 * 32
out += b"\0" * (-len(out) % 32)
for _, _, _, values in tensors:
    out += values + b"\0" * (-len(values) % 32)
open(target, "wb").write(out)
PYTHON
python3 "$work/convert.py" "$adapter-0" "$work/lora.gguf" 4 || fail 'no GGUF adapter could be made'
expect_ok inspect --json "$work/lora.gguf" --base "$model"
check 'r["kind"] == "adapter" and r["format"] == "gguf" and r["rank"] == 2 and r["alpha"] == 8 and r["fits"] is True and r["architecture"] == "llama"'
expect_ok inspect --json "$work/lora.gguf" --base "$fixtures/qwen2/base.gguf"
check 'r["fits"] is False and r["reason"]'
expect_ok adapters load -m "$model" --json "g=$work/lora.gguf"
check 'r["format"] == "gguf" and r["rank"] == 2 and r["scale"] == 4 and r["n_modules"] == 2 and r["n_tensors"] == 4'
expect_ok logits -m "$model" --threads 1 --ids 5,6,7 --top 288 --load "a=$adapter-0" --adapter a
mv "$work/out" "$work/peft"
expect_ok logits -m "$model" --threads 1 --ids 5,6,7 --top 288 --load "a=$work/lora.gguf" --adapter a
cat "$work/peft" >>"$work/out"
check 'all(abs(dict(map(tuple, r["top"]))[i] - x) < 1e-3 for i, x in lines[1]["top"])' 'GGUF and PEFT differ'
expect_error 10 . adapters load -m "$fixtures/qwen2/base.gguf" "g=$work/lora.gguf"
expect_error 5 'LoRA adapter, not a model' generate -m "$work/lora.gguf" hi
expect_error 9 . adapters load -m "$model" "g=$model"
expect_error 5 'LoRA adapter, not a model' inspect "$adapter-0" --base "$work/lora.gguf"
size=$(wc -c <"$work/lora.gguf")
for part in 0 3 4 24 60 $((size / 2)) $((size - 1)); do
    head -c "$part" "$work/lora.gguf" >"$work/cut.gguf"
    expect_error 9 . adapters load -m "$model" "g=$work/cut.gguf"
done

# Damage that the loader names is named by inspect too; a name may hold any bytes.
python3 - "$work" "$model" <<'PYTHON' || fail 'no damaged files could be made'
import struct, sys
work, model = sys.argv[1:]
def edit(source, target, old, new):
    data = open(source, "rb").read()
    assert data.count(old) >= 1 and len(old) == len(new)
    open(work + "/" + target, "wb").write(data.replace(old, new))
alpha = b"adapter.lora.alpha" + struct.pack("<I", 6)
for name, value in (("nan", float("nan")), ("inf", float("inf"))):
    edit(work + "/lora.gguf", name + ".gguf", alpha + struct.pack("<f", 8), alpha + struct.pack("<f", value))
edit(work + "/lora.gguf", "target.gguf", b".attn_q.", b".attn_\xff.")
name = b"tiny-random-one-layer"
edit(model, "nul.gguf", name, name.replace(b"-", b"\0"))
edit(model, "latin.gguf", name, name.replace(b"-", b"\xe9"))
PYTHON
for name in nan inf; do
    expect_error 11 'adapter.lora.alpha is NaN or infinite' adapters load -m "$model" "g=$work/$name.gguf"
    expect_error 11 'adapter.lora.alpha is NaN or infinite' inspect "$work/$name.gguf"
    expect_ok inspect --json "$work/$name.gguf" --base "$model"
    check 'r["format"] == "gguf" and r["fits"] is False and "adapter.lora.alpha" in r["reason"]' "$name"
done
expect_ok inspect --json "$work/target.gguf"
check 'r["targets"] == ["attn_v", "attn_\ufffd"]'
expect_ok inspect --json "$work/nul.gguf"
check 'r["name"] == "tiny\0random\0one\0layer"'
expect_ok inspect "$work/nul.gguf"
grep -q '"name": "tiny.u0000random' "$work/out" || fail 'a name with a NUL for people'
expect_ok inspect --json "$work/latin.gguf"
check 'r["name"] == "tiny\ufffdrandom\ufffdone\ufffdlayer"'

# Native execution cannot change a tied output: refused at the load.
mkdir "$work/tied"
python3 - "$work/tied" <<'PYTHON' || fail 'no adapter of the output could be made'
import json, random, struct, sys
random.seed(1)
width, n_vocab, rank = 32, 288, 2
def tensor(rows, columns):
    return struct.pack("<%df" % (rows * columns), *[random.gauss(0, 0.1) for _ in range(rows * columns)])
a, b = tensor(rank, width), tensor(n_vocab, rank)
prefix = "base_model.model.lm_head.lora_"
header = json.dumps({
    prefix + "A.weight": {"dtype": "F32", "shape": [rank, width], "data_offsets": [0, len(a)]},
    prefix + "B.weight": {"dtype": "F32", "shape": [n_vocab, rank], "data_offsets": [len(a), len(a) + len(b)]},
}).encode()
header += b" " * (-len(header) % 8)
open(sys.argv[1] + "/adapter_model.safetensors", "wb").write(struct.pack("<Q", len(header)) + header + a + b)
json.dump({"peft_type": "LORA", "r": rank, "lora_alpha": 4, "target_modules": ["lm_head"]},
          open(sys.argv[1] + "/adapter_config.json", "w"))
PYTHON
expect_ok adapters load -m "$llama/base.gguf" "t=$work/tied"
expect_error 5 'shared execution' adapters load -m "$llama/base.gguf" --adapter-execution native "t=$work/tied"
expect_error 5 'shared execution' generate -m "$llama/base.gguf" --threads 1 --adapter-execution native --load "t=$work/tied" -n 1 hi
expect_ok generate -m "$llama/base.gguf" --threads 1 --load "t=$work/tied" --adapter t -n 1 hi

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
for name in use-dora bias-other nan-weight; do # refused whatever the base
    expect_ok inspect --json "$peft/$name" --base "$llama/base.gguf"
    check 'r["kind"] == "adapter" and r["fits"] is False and r["reason"]' "$name"
done
expect_error 5 'DoRA' inspect "$peft/use-dora"
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
expect_usage 'PATH is empty' inspect ''
expect_error 3 'path of the base is empty' inspect "$adapter-0" --base ''
expect_usage 'one PATH at a time' inspect "$model" "$model"

# ---- peft keeps a targeted output layer's own weight beside its LoRA: it has to be the model's
with_base_layer() { # NUMBER: that much is added to one of its values
    rm -rf "$work/head"
    mkdir "$work/head"
    sed '/"target_modules"/,/]/c "target_modules": ["lm_head"],' "$adapter-0/adapter_config.json" >"$work/head/adapter_config.json"
    python3 - "$model" "$1" "$work/head/adapter_model.safetensors" <<'PYTHON'
import json, math, struct, sys

data = open(sys.argv[1], "rb").read()
at = 8
sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def take(kind):
    global at
    (value,) = struct.unpack_from("<" + kind, data, at)
    at += struct.calcsize(kind)
    return value


def text():
    global at
    n = take("Q")
    at += n
    return data[at - n : at]


def skip(kind):
    global at
    if kind == 8:
        text()
    elif kind == 9:
        of, n = take("I"), take("Q")
        for _ in range(n):
            skip(of)
    else:
        at += sizes[kind]


n_tensors, n_pairs = take("Q"), take("Q")
for _ in range(n_pairs):
    text()
    skip(take("I"))
for _ in range(n_tensors):
    name = text()
    shape = [take("Q") for _ in range(take("I"))]
    kind, offset = take("I"), take("Q")
    if name == b"output.weight":
        found = shape, kind, offset
shape, kind, offset = found
assert kind == 0, "the fixture is in float32"
start = (at + 31) // 32 * 32 + offset
n = math.prod(shape)
weight = list(struct.unpack_from("<%df" % n, data, start))
weight[7] += float(sys.argv[2])
tensors = {"base_layer.weight": (shape[::-1], weight), "lora_A.weight": ([2, shape[0]], [0.1] * 2 * shape[0]),
           "lora_B.weight": ([shape[1], 2], [0.1] * 2 * shape[1])}
header, body = {}, b""
for name, (dims, values) in tensors.items():
    piece = struct.pack("<%df" % len(values), *values)
    header["base_model.model.lm_head." + name] = {"dtype": "F32", "shape": dims,
                                                  "data_offsets": [len(body), len(body) + len(piece)]}
    body += piece
header = json.dumps(header).encode()
header += b" " * (-len(header) % 8)
open(sys.argv[3], "wb").write(struct.pack("<Q", len(header)) + header + body)
PYTHON
}
with_base_layer 0
expect_ok adapters load -m "$model" "a=$work/head"
with_base_layer 0.00001
expect_error 5 'lm_head.base_layer.weight" is a copy of a base weight that differs' adapters load -m "$model" "a=$work/head"
expect_error 5 'lm_head.base_layer.weight" is a copy of a base weight that differs' \
    generate -m "$model" --threads 1 --load "a=$work/head" --adapter a -n 1 hi

# Where the model's own is quantised nothing can be told: which is said.
mkdir "$work/embedding"
python3 - "$INFERENCE_TEST_MODEL" "$work/embedding" <<'PYTHON' || exit 1
import json, os, struct, subprocess, sys

model = json.loads(subprocess.run([os.environ["INFERENCE"], "inspect", sys.argv[1]],
                                  check=True, capture_output=True).stdout)
vocabulary, width = model["n_vocab"], model["n_embd"]
header, at = {}, 0
for name, shape in {"base_layer.weight": [vocabulary, width], "lora_embedding_A": [1, vocabulary],
                    "lora_embedding_B": [width, 1]}.items():
    end = at + 2 * shape[0] * shape[1]
    header["base_model.model.model.embed_tokens." + name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, end]}
    at = end
header = json.dumps(header).encode()
header += b" " * (-len(header) % 8)
with open(sys.argv[2] + "/adapter_model.safetensors", "wb") as out:
    out.write(struct.pack("<Q", len(header)) + header + bytes(at))
with open(sys.argv[2] + "/adapter_config.json", "w") as out:
    json.dump({"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["embed_tokens"]}, out)
PYTHON
expect_warning 'embed_tokens.base_layer.weight" is a copy of a weight .* is not checked' \
    adapters load -m "$INFERENCE_TEST_MODEL" "a=$work/embedding"

finish
