#!/bin/sh
# A batch of more lines than the process may open files: the connections have a bound, the rest wait, and
# every line gets its answer.
. "${0%/*}/lib.sh"

(ulimit -n 1024) 2>/dev/null || {
    echo "skipped: the shell cannot set the limit of open files" >&2
    exit 77
}
mkfifo "$work/orders"
python3 "$INFERENCE_SOURCE_DIR/tests/fake/server.py" vllm "$INFERENCE_SOURCE_DIR/tests/live/transcripts" \
    <"$work/orders" >"$work/port" &
exec 7>"$work/orders"
for _ in $(seq 200); do [ -s "$work/port" ] || sleep 0.05; done
url=http://127.0.0.1:$(head -n 1 "$work/port")/v1

all_answered() { # LINES DESCRIPTORS
    python3 -c 'import sys; [print("{\"prompt\":\"line %d\",\"max_tokens\":1}" % i) for i in range(int(sys.argv[1]))]' \
        "$1" >"$work/batch"
    (ulimit -n "$2" && exec "$INFERENCE" generate -p vllm -u "$url" -m smol --batch "$work/batch") \
        </dev/null >"$work/out" 2>"$work/err"
    status=$?
    [ "$status" -eq 0 ] || fail "$1 lines, $2 open files: exit code $status"
    check "sorted(l['id'] for l in lines) == list(range(1, $1 + 1)) and all(l['completion_tokens'] == 1 for l in lines)" \
        "$1 lines, $2 open files"
}

all_answered 2000 1024
grep -q '^inference: warning: .*: 256 requests run at once, the rest wait; --concurrency raises it$' "$work/err" &&
    [ "$(grep -c 'run at once' "$work/err")" -eq 1 ] || fail 'the bound of connections is not said once'
all_answered 100 48

exec 7>&-
wait
finish
