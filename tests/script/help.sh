#!/bin/sh
# What the command says about itself: --help of each command lists what it takes, takes what it
# lists, and has a flag and a batch key for every field of a request.
. "${0%/*}/lib.sh"

commands='generate adapters inspect tokenize detokenize render logits'

# ---- help and version
for arguments in --help -h help; do
    expect_ok $arguments
    for command in $commands; do
        grep -Eq "^  $command +[A-Z]" "$work/out" || fail "$arguments does not name $command"
    done
done
expect_ok --version
head -n 1 "$work/out" | grep -Eq '^inference [0-9]+\.[0-9]+\.[0-9]+$' || fail '--version'
for line in 'providers: .*vllm.*ollama.*llamacpp' 'llama.cpp: [a-z]' 'backends: CPU' 'CPU features: [a-z]' 'compiler: [A-Z].*[0-9]'; do
    grep -q "^$line" "$work/out" || fail "--version has no line '$line'"
done
header=$INFERENCE_SOURCE_DIR/include/inference/inference.h
sed -n 's/.* \([0-9]*\)) *\\*$/\1/p; s/^ *\([0-9][0-9]*\)) *\\*$/\1/p' "$header" | sort -nu | grep -v '^0$' >"$work/codes"
"$INFERENCE" --help | sed -n 's/^  *\([0-9][0-9]*\)  .*/\1/p' | sort -nu >"$work/out"
cmp -s "$work/codes" "$work/out" || fail '--help does not list the exit codes of the header'
while read -r code; do
    grep -q "| $code |" "$INFERENCE_SOURCE_DIR/docs/errors.md" || fail "docs/errors.md has no exit code $code"
done <"$work/codes"

# ---- a reader that goes away ends it quietly, with the code of a failed write
for arguments in --help --version --options help "help generate" "generate --help" "adapters -h" "inspect $model"; do
    python3 - "$INFERENCE" $arguments >"$work/out" 2>"$work/err" <<'PYTHON' || fail "$arguments into a closed pipe"
import os, subprocess, sys
reader, writer = os.pipe()
os.close(reader)
done = subprocess.run(sys.argv[1:], stdout=writer, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
print(done.returncode, done.stderr)
sys.exit(done.returncode != 8 or done.stderr != b"")
PYTHON
done

# ---- each command takes exactly what its help lists
"$INFERENCE" --options >"$work/options"
for command in $commands; do
    expect_ok "$command" --help
    cp "$work/out" "$work/help"
    expect_ok "$command" -h
    cmp -s "$work/out" "$work/help" || fail "$command -h is not --help"
    expect_ok help "$command"
    cmp -s "$work/out" "$work/help" || fail "help $command is not --help"
    sed -n 's/^  \(-.,\|   \) --\([a-z-]*\).*/\2/p' "$work/help" | grep -v '^help$' | sort >"$work/listed"
    sed -n "s/^$command --\([a-z-]*\).*/\1/p" "$work/options" | sort >"$work/out"
    cmp -s "$work/out" "$work/listed" || fail "$command --help lists other options than there are"
    for option in $(sed 's/^[a-z]* --\([a-z-]*\).*/\1/' "$work/options" | sort -u); do
        run "$command" "--$option"
        if grep -qx -- "$option" "$work/listed"; then
            ! grep -q 'unknown option' "$work/err" || fail "$command does not know --$option"
        else
            expect_usage "unknown option --$option" "$command" "--$option"
        fi
    done
done
expect_usage "no command 'nothing'" help nothing

# ---- what the contract names
has() { # COMMAND OPTION...
    command=$1
    shift
    for option in "$@"; do
        run "$command" "$option"
        ! grep -q 'unknown option' "$work/err" || fail "$command does not know $option"
    done
}
has generate -p -m -u --load --adapter -s -n --temperature --top-p --top-k --min-p --repetition-penalty \
    --seed --stop --ignore-eos --dtype --device --threads --ctx --chat --messages --timeout --no-stream --json --batch \
    --strict --verbose --quiet --queue-timeout --concurrency --connect-timeout --silence-timeout --adapters \
    --no-special --add-special --plain-prompt --tools --tool-choice --plain-output --continue-final-message
has adapters -p -u -m --json
has inspect --base --json
has tokenize -m --no-special --jsonl
has detokenize -m --skip-special --jsonl
has render -m --no-generation-prompt --continue-final-message
has logits -m --load --adapter --dtype --ids --top --probe

# ---- every field of inf_request has a flag of its name and a batch key of its name
sed -n '/^typedef struct inf_request {/,/^} inf_request;/p' "$header" | tr '\n' ' ' |
    sed -e 's,/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/,,g' -e 's/[;{] */&\n/g' |
    sed -n 's/^ *\(const \)\{0,1\}[a-z_0-9]* \**\([a-z_]*\)\(\[[0-9]*\]\)\{0,1\};.*/\2/p' |
    grep -Evx 'struct_size|n_[a-z_]*|reserved|messages_json' >"$work/fields"
[ "$(wc -l <"$work/fields")" -gt 20 ] || fail 'the fields of inf_request are not found'
while read -r field; do
    has generate "--$(printf %s "$field" | tr _ -)"
    printf '{"prompt":"hi","max_tokens":1}\n' >"$work/batch"
    printf '{"%s":null}\n' "$field" >>"$work/lines"
done <"$work/fields"
run generate -m "$model" --threads 1 --batch "$work/lines"
check 'all("nothing to generate from" in l["error"]["message"] for l in lines) and len(lines) > 20' 'a batch key of each field'
expect_ok generate -m "$model" --threads 1 --batch "$work/batch"
check 'r["completion_tokens"] == 1'

finish
