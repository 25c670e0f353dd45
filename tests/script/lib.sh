# Sourced by the tests beside it: the fixtures, one run of the command, and what to expect of it.
# $INFERENCE is the command, $INFERENCE_SOURCE_DIR the tree. A test ends with `finish`.
set -u
unset INFERENCE_PROVIDER LLAMACPP_MODEL_PATH VLLM_BASE_URL OLLAMA_BASE_URL TRANSFORMERS_MODEL_NAME VLLM_API_KEY
LC_ALL=C.UTF-8
export LC_ALL

fixtures=$INFERENCE_SOURCE_DIR/tests/parity/fixtures
model=$fixtures/one-layer/base.gguf # 288 tokens, random weights, with a chat template
adapter=$fixtures/one-layer/adapter # -0 to -3
peft=$INFERENCE_SOURCE_DIR/tests/fixtures/peft
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
failures=0
input=/dev/null # what the next runs read

fail() {
    echo "FAILED: $*" >&2
    sed 's/^/    stdout: /' "$work/out" | head -n 5 >&2
    sed 's/^/    stderr: /' "$work/err" | head -n 20 >&2
    failures=$((failures + 1))
}

finish() {
    [ "$failures" -eq 0 ] || echo "$failures failed" >&2
    [ "$failures" -eq 0 ]
    exit
}

# run ARGUMENT...: the command; $status, $work/out and $work/err are what it did.
run() {
    "$INFERENCE" "$@" <"$input" >"$work/out" 2>"$work/err"
    status=$?
}

# One clear line on standard error, of an error; nothing on standard output. PATTERN is extended.
is_error() { # CODE PATTERN WHAT
    if [ "$status" -ne "$1" ]; then
        fail "$3: exit code $status, not $1"
    elif [ -s "$work/out" ]; then
        fail "$3: something on standard output"
    elif [ "$(wc -l <"$work/err")" -ne 1 ] || ! grep -q '^inference: ' "$work/err"; then
        fail "$3: not one line of error"
    elif ! grep -Eq -- "$2" "$work/err"; then
        fail "$3: not '$2'"
    fi
}

expect_error() { # CODE PATTERN ARGUMENT...
    code=$1 pattern=$2
    shift 2
    run "$@"
    is_error "$code" "$pattern" "$*"
}

expect_usage() { # PATTERN ARGUMENT...
    pattern=$1
    shift
    expect_error 2 "$pattern.*(; see|See) 'inference .*--help'" "$@"
}

# Exit code 0, and one warning of this pattern.
expect_warning() { # PATTERN ARGUMENT...
    pattern=$1
    shift
    run "$@"
    if [ "$status" -ne 0 ]; then
        fail "$*: exit code $status"
    elif [ "$(wc -l <"$work/err")" -ne 1 ] || ! grep -Eq -- "^inference: warning: .*$pattern" "$work/err"; then
        fail "$*: not one warning of '$pattern'"
    fi
}

# with_template TEMPLATE OUT: the model with this chat template, of at most 198 bytes.
with_template() {
    python3 - "$model" "$1" "$2" <<'PYTHON'
import struct, sys
data = open(sys.argv[1], "rb").read()
key = b"tokenizer.chat_template" + struct.pack("<I", 8)
at = data.index(key) + len(key)
(size,) = struct.unpack("<Q", data[at : at + 8])
template = sys.argv[2].encode()
assert len(template) <= size
template += b"{#" + b" " * (size - len(template) - 4) + b"#}" if len(template) < size - 4 else b""
with open(sys.argv[3], "wb") as out:
    out.write(data[: at + 8] + template.ljust(size) + data[at + 8 + size :])
PYTHON
}

# Exit code 0 and nothing on standard error; the output is for what follows.
expect_ok() {
    run "$@"
    if [ "$status" -ne 0 ] || [ -s "$work/err" ]; then
        fail "$*: exit code $status"
    fi
}

expect_output() { # TEXT ARGUMENT...
    printf '%s' "$1" >"$work/expected"
    shift
    expect_ok "$@"
    cmp -s "$work/expected" "$work/out" || fail "$*: not $(cat "$work/expected")"
}

# holds EXPRESSION: Python about the output: `lines` are its JSON values, `r` the first.
holds() {
    python3 -c '
import json, math, sys
text = open(sys.argv[1], encoding="utf-8").read()
lines = [json.loads(line) for line in text.split("\n") if line]
r = lines[0] if lines else None
sys.exit(not eval(sys.argv[2]))' "$work/out" "$1" 2>"$work/python"
}

# check EXPRESSION [WHAT]: a failure where it does not hold.
check() {
    holds "$1" || fail "${2:-the output}: not $1 $(tail -n 1 "$work/python")"
}

# until_holds EXPRESSION COMMAND...: the command again until it holds, for what is a matter of the machine's
# pace: that requests which came one after the other were computed together.
until_holds() {
    expression=$1
    shift
    tries=1
    "$@"
    while ! holds "$expression" && [ $tries -lt 20 ]; do
        "$@"
        tries=$((tries + 1))
    done
    check "$expression" "after $tries tries"
}
