#!/bin/sh
# Whatever the command is given, it ends by itself, with one clear line and the code for it: damaged
# and foreign files, full disks, closed pipes, missing environment, huge prompts.
. "${0%/*}/lib.sh"

# Nothing here may hang.
run() {
    timeout 60 "$INFERENCE" "$@" <"$input" >"$work/out" 2>"$work/err"
    status=$?
}

# ---- damaged models: cut anywhere, and with numbers that lie
mkdir "$work/damaged"
python3 - "$model" "$work/damaged" <<'PYTHON'
import random, struct, sys
whole = open(sys.argv[1], "rb").read()
def write(name, data):
    with open(sys.argv[2] + "/" + name, "wb") as file:
        file.write(data)
offsets = [0, 1, 3, 4, 7, 8, 15, 16, 23, 24, 25, 31, 32, 40, 64, 100] + \
    [len(whole) * i // 14 for i in range(1, 14)] + [len(whole) - 1]
for offset in offsets:
    write("cut-%06d.gguf" % offset, whole[:offset])
for name, at, value in (("tensors", 8, 2**63), ("tensors-many", 8, 2**40), ("keys", 16, 2**63),
                        ("keys-many", 16, 2**32), ("name-length", 24, 2**64 - 1),
                        ("name-length-large", 24, len(whole)), ("no-tensors", 8, 0), ("no-keys", 16, 0)):
    write("number-%s.gguf" % name, whole[:at] + struct.pack("<Q", value) + whole[at + 8:])
write("version-0.gguf", whole[:4] + struct.pack("<I", 0) + whole[8:])
write("version-999.gguf", whole[:4] + struct.pack("<I", 999) + whole[8:])
random.seed(5)
for i in range(24):
    data = bytearray(whole)
    for _ in range(1 + i % 4):
        data[random.randrange(6000)] ^= 1 << random.randrange(8)
    write("flipped-%02d.gguf" % i, data)
PYTHON
for file in "$work"/damaged/*; do
    name=$(basename "$file")
    run inspect "$file"
    inspected=$status
    case $name:$status in
    flipped*:0) ;;
    flipped*:5 | flipped*:9 | number-no-tensors*:5) is_error "$status" . "inspect $name" ;;
    *) is_error 9 . "inspect $name" ;;
    esac
    run generate -m "$file" --threads 1 -n 1 hi
    case $name:$inspected:$status in
    flipped*:0:0) ;;
    *) is_error "$status" . "generate $name" ;;
    esac
    case $status in
    0 | 3 | 5 | 8 | 9 | 11 | 14 | 20) ;;
    *) fail "generate $name: exit code $status" ;;
    esac
done
cp "$model" "$work/long.gguf"
printf 'and more' >>"$work/long.gguf"
run generate -m "$work/long.gguf" --threads 1 -n 1 hi
case $status in 0 | 9) ;; *) fail "more behind the end: exit code $status" ;; esac

# ---- foreign files, wherever a file is asked for
: >"$work/empty.gguf"
echo 'only text' >"$work/text.gguf"
truncate -s 1T "$work/huge.gguf"
mkfifo "$work/fifo.gguf"
mkdir "$work/folder.gguf" "$work/peft"
ln -s loop.gguf "$work/loop.gguf"
for file in empty text huge fifo folder loop none; do
    for place in "generate --threads 1 -p llamacpp -n 1 hi -m" "inspect $adapter-0 --base" \
        "tokenize -p llamacpp -m" "logits -p llamacpp --ids 1 -m" "generate -m $model hi --adapter a --load a=" \
        "adapters load -m $model a="; do
        case $place in
        *=) run ${place% *} "${place##* }$work/$file.gguf" ;;
        *) run $place "$work/$file.gguf" ;;
        esac
        case $file:$status in
        *:8 | *:9 | huge:7) is_error "$status" . "$place$file" ;; # 7: no address space to map it
        *) fail "$place$file: exit code $status" ;;
        esac
    done
done
expect_error 9 . generate -m "$adapter-0/adapter_model.safetensors" hi
expect_error 8 . generate -m /dev/null hi
expect_error 8 . inspect /dev/zero
run inspect "$work/fifo.gguf"
is_error 8 'regular' 'inspect of a FIFO'

# ---- damaged adapters
expect_error 8 . adapters load -m "$model" "a=$work/peft"
cp "$adapter-0/adapter_config.json" "$work/peft"
expect_error 8 . adapters load -m "$model" "a=$work/peft"
mkfifo "$work/peft/adapter_model.safetensors"
expect_error 8 . adapters load -m "$model" "a=$work/peft"
expect_error 8 . inspect "$work/peft"
rm "$work/peft/adapter_model.safetensors"
size=$(wc -c <"$adapter-0/adapter_model.safetensors")
for part in 0 1 7 8 9 100 $((size / 2)) $((size - 1)); do
    head -c "$part" "$adapter-0/adapter_model.safetensors" >"$work/peft/adapter_model.safetensors"
    expect_error 9 . adapters load -m "$model" "a=$work/peft"
done
truncate -s 1T "$work/peft/adapter_model.safetensors"
expect_error 9 . adapters load -m "$model" "a=$work/peft"
cp "$adapter-0/adapter_model.safetensors" "$work/peft"
for config in '' '{' '[]' '{"r":1e99}' '{"peft_type":"LORA","r":2,"r":3}'; do
    printf '%s' "$config" >"$work/peft/adapter_config.json"
    run adapters load -m "$model" "a=$work/peft"
    case $status in
    3 | 5 | 9 | 10) is_error "$status" . "$config" ;;
    *) fail "$config: exit code $status" ;;
    esac
done

cp "$adapter-0/adapter_config.json" "$work/peft"
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n' >"$work/pointer"
cp "$work/pointer" "$work/peft/adapter_model.safetensors"
expect_error 9 'Git LFS pointer.*run git lfs pull' adapters load -m "$model" "a=$work/peft"
expect_error 9 'Git LFS pointer.*run git lfs pull' inspect "$work/peft"
cp "$adapter-0/adapter_model.safetensors" "$work/peft"
cp "$work/pointer" "$work/peft/adapter_config.json"
expect_error 9 'adapter_config.json is a Git LFS pointer, not the file itself: run git lfs pull' adapters load -m "$model" "a=$work/peft"
is_pointer() { # FILE ARGUMENT...
    file=$1
    shift
    mkdir "$work/checkpoint"
    cp "$INFERENCE_SOURCE_DIR/tests/fixtures/tokenizers/smollm2/tokenizer.json" \
        "$INFERENCE_SOURCE_DIR/tests/parity/cases/llama/model/config.json" "$work/checkpoint"
    cp "$work/pointer" "$work/checkpoint/$file"
    expect_error 9 "$file is a Git LFS pointer, not the file itself: run git lfs pull" "$@" -m "$work/checkpoint"
    rm -r "$work/checkpoint"
}
is_pointer config.json generate hi
printf '[{"role":"user","content":"hi"}]' >"$work/messages"
input=$work/messages
is_pointer chat_template.jinja render
input=/dev/null
cp "$adapter-0/adapter_config.json" "$work/peft"
expect_error 9 'give the directory' adapters load -m "$model" "a=$adapter-0/adapter_model.safetensors"
cp "$adapter-0/adapter_model.safetensors" "$work/peft"
{
    printf '\357\273\277'
    cat "$adapter-0/adapter_config.json"
} >"$work/peft/adapter_config.json"
expect_ok adapters load -m "$model" "a=$work/peft" # a byte order mark

# ---- a model that is deleted or replaced before the end
cp "$model" "$work/gone.gguf"
expect_ok generate -m "$work/gone.gguf" --threads 1 -n 2 hi
rm "$work/gone.gguf"
expect_error 8 'No such file' generate -m "$work/gone.gguf" hi

# ---- standard output that takes nothing
full() {
    timeout 60 "$INFERENCE" "$@" <"$input" >/dev/full 2>"$work/err"
    status=$?
    : >"$work/out"
    is_error 8 'standard output.*No space left' "$1 to a full disk"
}
full generate -m "$model" --threads 1 -n 4 hi
full generate -m "$model" --threads 1 -n 4 --json hi
full generate -m "$model" --threads 1 -n 4 --no-stream hi
full inspect "$model"
full logits -m "$model" --threads 1 --ids 1
full adapters load -m "$model" "a=$adapter-0"
full --help
full --version
full generate --help
printf 'hi' >"$work/hi"
input=$work/hi
full tokenize -m "$model"
printf '[104]' >"$work/ids"
input=$work/ids
full detokenize -m "$model"
printf '[{"role":"user","content":"x"}]' >"$work/messages"
input=$work/messages
full render -m "$model"
input=/dev/null
python3 -c 'print("{\"prompt\":\"hi\",\"max_tokens\":50}\n" * 50)' >"$work/batch"
full generate -m "$model" --threads 1 --batch "$work/batch"

closed() {
    timeout 60 "$INFERENCE" "$@" >&- 2>"$work/err" <"$input"
    status=$?
    : >"$work/out"
    is_error 8 'standard output' "$1 without a standard output"
}
closed generate -m "$model" --threads 1 -n 4 hi
closed inspect "$model"

# A reader that goes away ends the work early.
{
    timeout 60 "$INFERENCE" generate -m "$model" --threads 1 --ignore-eos -n 4000 hi 2>"$work/err"
    echo $? >"$work/status"
} | head -c 1 >"$work/out"
status=$(cat "$work/status")
[ "$status" -eq 8 ] && [ ! -s "$work/err" ] || fail "| head -c 1: not quiet, or exit code $status"
yes '"x"' | {
    timeout 60 "$INFERENCE" tokenize -m "$model" --jsonl 2>"$work/err"
    echo $? >"$work/status"
} | head -c 1 >"$work/out"
[ "$(cat "$work/status")" -eq 8 ] && [ ! -s "$work/err" ] || fail 'tokenize --jsonl | head -c 1'

# ---- standard input that gives nothing
timeout 60 "$INFERENCE" generate -m "$model" - <&- >"$work/out" 2>"$work/err"
status=$?
is_error 8 'standard input' 'a closed standard input'
input=$work
expect_error 8 'standard input.*directory' tokenize -m "$model"
input=/dev/null

# ---- environment
for name in HOME XDG_CACHE_HOME TMPDIR PATH; do
    env -u "$name" "$INFERENCE" generate -m "$model" --threads 1 -n 1 hi >"$work/out" 2>"$work/err" ||
        fail "without $name"
    [ ! -s "$work/err" ] || fail "without $name: something on standard error"
done
env -i "$INFERENCE" generate -m "$model" --threads 1 -n 1 hi >"$work/out" 2>"$work/err" || fail 'no environment'
mkdir "$work/locked"
chmod a-w "$work/locked"
(cd "$work/locked" && HOME=$work/locked XDG_CACHE_HOME=/proc/none exec "$INFERENCE" generate -m "$model" --threads 1 -n 1 hi) \
    >"$work/out" 2>"$work/err" || fail 'in a folder that cannot be written'
mkdir "$work/Grüße 😀 'x' \"y\""
cp "$model" "$work/Grüße 😀 'x' \"y\"/modèle.gguf"
expect_ok generate -m "$work/Grüße 😀 'x' \"y\"/modèle.gguf" --threads 1 -n 1 --json 'Grüße 😀'
check 'r["model"].endswith("modèle.gguf")'
expect_error 3 'prompt: is not valid UTF-8' generate -m "$model" "$(printf 'a\377b')"
expect_error 3 'not valid UTF-8' generate -m "$(printf 'a\377b.gguf')" hi
bad=$(printf 'a\377b')
expect_error 3 'not valid UTF-8' adapters load -m "$model" "a=$bad"
expect_error 3 'not valid UTF-8' generate -m "$model" --load "a=$bad" hi
expect_error 3 'not valid UTF-8' inspect "$bad"
expect_error 3 'not valid UTF-8' inspect "$adapter-0" --base "$bad"
expect_error 8 'cannot open a b.gguf' generate -m "$(printf 'a\nb.gguf')" hi

# ---- large inputs
python3 -c 'print("word " * 200000)' >"$work/large"
input=$work/large
expect_error 13 'shorten the prompt' generate -m "$model" -
expect_error 13 'shorten the prompt' generate -m "$model" --chat -
expect_ok tokenize -m "$model"
input=/dev/null
python3 -c 'import json; print(json.dumps({"prompt": "word " * 200000}))' >"$work/batch"
run generate -m "$model" --batch "$work/batch"
check 'r["error"]["code"] == "context_full"'
python3 -c 'print("[" * 200000)' >"$work/deep"
expect_error 3 'messages' generate -m "$model" --messages "$work/deep"
expect_error 3 'json-schema' generate -m "$model" --json-schema "@$work/deep" hi
run generate -m "$model" --batch "$work/deep"
check 'r["error"]["code"] == "invalid_argument"'
python3 -c 'print("root ::= " + "(" * 200000)' >"$work/deep"
expect_error 3 'grammar' generate -m "$model" --grammar "@$work/deep" hi
expect_error 10 . adapters load -m "$fixtures/llama/base.gguf" "a=$INFERENCE_SOURCE_DIR/adapters/json"
expect_error 12 '--kv-budget' generate -q -m "$model" --ctx 16000000 --kv-budget 1 hi
expect_error 3 '--ctx: 2000000000' generate -m "$model" --ctx 2000000000 hi

finish
