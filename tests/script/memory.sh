#!/bin/sh
# What a small request takes: the model, and memory for its own tokens, not for every sequence that might
# run beside it.
. "${0%/*}/lib.sh"

[ -z "${SANITIZED:-}" ] || {
    echo "skipped: a sanitizer has memory of its own" >&2
    exit 77
}

takes_at_most() { # MEGABYTES WHAT ARGUMENT...
    bound=$1
    what=$2
    shift 2
    python3 - "$bound" "$INFERENCE" generate -m "$INFERENCE_TEST_MODEL" --temperature 0 "$@" \
        >"$work/out" 2>"$work/err" <<'PYTHON' || fail "$what takes more than $bound MB, or fails"
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
taken = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
print("%d MB" % taken, file=sys.stderr)
sys.exit(code or taken > int(sys.argv[1]))
PYTHON
}

takes_at_most 150 "one small request" -n 8 "The capital of France is"
cp "$work/out" "$work/alone"
takes_at_most 150 "one of 64 sequences" --max-sequences 64 -n 8 "The capital of France is"
cmp -s "$work/out" "$work/alone" || fail "the number of sequences changes an answer"
# 750 tokens, in one of 16 windows that have grown to 1,024.
takes_at_most 200 "one longer request" -n 2 "$(python3 -c 'print("one two three " * 250)')"
finish
