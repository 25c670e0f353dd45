#!/bin/sh
# Every field that the command puts into its JSON is in docs/command.md, and every field of the result
# table there comes out. $INFERENCE is the command, $INFERENCE_SOURCE_DIR the tree.
set -eu
cd "$INFERENCE_SOURCE_DIR"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
model=$INFERENCE_TEST_MODEL

# The keys of an object on standard input; values of this test hold no escaped quotes before a colon.
keys() {
    grep -oE '"[a-z_]+" *:' | tr -d '": ' | sort -u
}

"$INFERENCE" generate -m "$model" --json --temperature 0 -n 2 --logprobs 1 --seed 1 "Hello" >"$scratch/result"
keys <"$scratch/result" >"$scratch/keys"
"$INFERENCE" adapters load -m "$model" --json json=adapters/json | keys >>"$scratch/keys"
"$INFERENCE" inspect "$model" | keys >>"$scratch/keys"
"$INFERENCE" inspect adapters/json --base "$model" | keys >>"$scratch/keys"
printf '%s\n' '{"prompt":"x","n":1}' | "$INFERENCE" generate -m "$model" --batch - >"$scratch/error"
keys <"$scratch/error" >>"$scratch/keys"
[ "$(wc -l <"$scratch/keys")" -gt 40 ] || {
    echo "the command printed hardly any fields" >&2
    exit 1
}

status=0
sort -u "$scratch/keys" >"$scratch/all"
while read -r key; do
    grep -qE "[\`\"]$key[\`\"]" docs/command.md || {
        echo "docs/command.md lacks the field $key" >&2
        status=1
    }
done <"$scratch/all"

# The table under "The result", but for what only some chats have.
sed -n '/^### The result/,/^### /p' docs/command.md | grep '^| `' | grep -v 'where there are some' |
    cut -d'|' -f2 | grep -oE '`[a-z_]+`' | tr -d '`' >"$scratch/table"
while read -r key; do
    grep -q "\"$key\":" "$scratch/result" || {
        echo "docs/command.md has the field $key, which generate --json does not print" >&2
        status=1
    }
done <"$scratch/table"
exit $status
