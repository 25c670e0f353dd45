#!/bin/sh
# The command with -p vllm and -p ollama, against the fake servers (tests/fake/server.py).
. "${0%/*}/lib.sh"

# serve KIND: a fake server; $url is where. It ends when descriptor 7 or 8 is closed.
serve() {
    python3 "$INFERENCE_SOURCE_DIR/tests/fake/server.py" "$1" "$INFERENCE_SOURCE_DIR/tests/live/transcripts" \
        <"$work/orders-$1" >"$work/port-$1" &
}
mkfifo "$work/orders-vllm" "$work/orders-ollama"
serve vllm
exec 7>"$work/orders-vllm"
serve ollama
exec 8>"$work/orders-ollama"
for kind in vllm ollama; do
    for _ in $(seq 200); do [ -s "$work/port-$kind" ] || sleep 0.05; done
done
vllm=http://127.0.0.1:$(head -n 1 "$work/port-vllm")/v1
ollama=http://127.0.0.1:$(head -n 1 "$work/port-ollama")/v1

# ---- generate
for server in "vllm $vllm" "ollama $ollama"; do
    set -- -p "${server% *}" -u "${server#* }" -m smol
    expect_ok generate "$@" -n 6 --temperature 0 --json hi
    check 'r["model"] == "smol" and r["adapter_id"] is None and r["completion_tokens"] == 6 and r["finish_reason"] == "length"'
    cp "$work/out" "$work/whole"
    expect_ok generate "$@" -n 6 --temperature 0 hi
    python3 -c 'import json,sys; sys.exit(json.load(open(sys.argv[1]))["text"].rstrip("\n") != open(sys.argv[2]).read().rstrip("\n"))' \
        "$work/whole" "$work/out" || fail "streamed text of $server"
    expect_ok generate "$@" -n 6 --temperature 0.7 --top-p 0.9 --top-k 5 --min-p 0.1 --repetition-penalty 1.1 \
        --seed 3 --stop zzz -s 'Be brief.' --logprobs 1 --timeout 20 --no-stream --json hi
    check 'len(r["logprobs"]) == 6'
    printf '%s\n' '{"prompt":"hi","max_tokens":3}' '{"prompt":"hi","max_tokens":2,"id":"b"}' >"$work/batch"
    expect_ok generate "$@" --batch "$work/batch"
    check '{l["id"]: l["completion_tokens"] for l in lines} == {1: 3, "b": 2}'
done
expect_error 18 'does not exist' generate -p vllm -u "$vllm" -m nobody hi
expect_error 18 'ollama pull nobody' generate -p ollama -u "$ollama" -m nobody hi
expect_error 5 '--ignore-eos' generate -p ollama -u "$ollama" -m smol --ignore-eos hi
expect_error 3 '--adapter-check: the ollama provider has no use' generate -p ollama -u "$ollama" -m smol --adapter-check never hi
INFERENCE_PROVIDER=ollama OLLAMA_BASE_URL=$ollama
export INFERENCE_PROVIDER OLLAMA_BASE_URL
expect_ok generate -m smol -n 2 hi
unset INFERENCE_PROVIDER OLLAMA_BASE_URL

# ---- adapters
set -- -p vllm -u "$vllm"
expect_output 'a: PEFT, rank 2, scale 4, 2 modules from 4 tensors, 976 bytes
' adapters load "$@" "a=$adapter-0"
expect_output "a	on the server	$adapter-0
" adapters list "$@"
expect_ok adapters list "$@" --json
check 'r["name"] == "a" and r["tracked"] is False and r["on_server"] is True'
expect_error 6 'inference adapters unload' adapters load "$@" "a=$adapter-1"
expect_ok generate "$@" -m smol --adapter a -n 3 --json hi
check 'r["adapter_id"] == "a" and r["model"] == "smol"'
expect_output '' adapters unload "$@" a
expect_error 18 'cannot be found' adapters unload "$@" a
expect_ok generate "$@" -m smol --load "b=$adapter-1" --adapter b -n 3 --json hi
expect_output '' adapters list "$@" # generate took back what it loaded
expect_error 11 'lora_' adapters load "$@" "c=$peft/nan-weight"
expect_error 3 '--device: the vllm provider has no use for it, since it is a server' generate "$@" -m smol --device cuda hi
expect_error 3 '--dtype: the vllm provider has no use for it, since it is a server' adapters load "$@" --dtype float32 "c=$adapter-0"
expect_error 3 '--ctx: the vllm provider has no use for it, since it is a server' generate "$@" -m smol --ctx 4096 hi
expect_error 3 '--max-sequences: the vllm provider' generate "$@" -m smol --max-sequences 16 hi
expect_warning '--chat changes nothing for a server' generate "$@" -m smol --chat -n 3 hi
expect_error 3 '--concurrency: 0' generate "$@" -m smol --concurrency 0 hi
expect_error 3 '--connect-timeout: 0 is neither above 0 nor none' generate "$@" -m smol --connect-timeout 0 hi
expect_error 3 '--silence-timeout-ms: -5 is neither above 0 nor none' adapters list "$@" --silence-timeout-ms -5
expect_error 3 '--max-retries: 11 is not in 0..10' generate "$@" -m smol --max-retries 11 hi
expect_ok generate "$@" -m smol --connect-timeout 9 --silence-timeout none --max-retries 0 --adapter-check never -n 3 hi
expect_error 3 '--extra-json: line 1 column 8: a key stands twice in an object: "a"' \
    generate "$@" -m smol --extra-json '{"a":1,"a":2}' hi
expect_ok generate "$@" -m smol --concurrency 1 --timeout none --queue-timeout 9 -n 3 hi
printf '{"prompt":"hi","chat":true,"max_tokens":3}\n{"prompt":"hi","chat":true,"max_tokens":3}\n' >"$work/batch"
expect_warning '--chat changes nothing for a server' generate "$@" -m smol --batch "$work/batch"
printf '%s\n' '{"do":"next","path":"/v1/unload_lora_adapter","act":"wait","seconds":20}' >&7
"$INFERENCE" adapters unload "$@" nobody >"$work/out" 2>"$work/err" &
pid=$!
sleep 0.5
kill -TERM $pid
wait $pid
status=$?
is_error 15 'cancel' 'a signal while an adapter is unloaded'
expect_error 18 '/nowhere' adapters load "$@" "c=/nowhere"

# ---- a signal while the server is at a load: nothing stays behind
printf '%s\n' '{"do":"set","load_delay":1}' >&7
"$INFERENCE" generate "$@" -m smol --load "d=$adapter-0" --adapter d -n 3 hi >"$work/out" 2>"$work/err" &
pid=$!
sleep 0.5
kill -TERM $pid
wait $pid && fail "a command that got a signal succeeded"
sleep 1
printf '%s\n' '{"do":"set","load_delay":0}' >&7
expect_output '' adapters list "$@"

expect_output '' adapters list -p ollama -u "$ollama"

exec 7>&- 8>&-
wait
finish
