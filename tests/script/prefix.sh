#!/bin/sh
# What a prompt finds of those before it on a model with a recurrent state, which can go back only to where a
# state was kept: on the way of a long prompt, before its last blocks, and where two prompts parted. The
# answers are those of each prompt alone, in every bit.
. "${0%/*}/lib.sh"

case=$work/case
python3 -B - "$INFERENCE_SOURCE_DIR" "$case" <<'END' || exit 1
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1] + "/scripts")
from parity_case import expand

expand(Path(sys.argv[1]) / "tests/parity/cases/qwen3_5_text", Path(sys.argv[2]))
END

python3 - >"$work/lines" <<'END'
import json

head = " ".join("word%d" % (i % 37) for i in range(60))
prompts = [head, head, head + " and one more", head + " and another one", head[:200] + " x " + head[200:], head[:200] + " y " + head[200:],
           "short", "short"]
for i, prompt in enumerate(prompts):
    print(json.dumps({"id": i, "prompt": prompt, "max_tokens": 6, "temperature": 0, "ignore_eos": True, "logprobs": 3}))
END

input=$work/lines
expect_ok generate -m "$case/model" --threads 1 --max-sequences 1 --batch -
mv "$work/out" "$work/together"
: >"$work/alone"
while read -r line; do
    printf '%s\n' "$line" >"$work/line"
    input=$work/line
    expect_ok generate -m "$case/model" --threads 1 --batch -
    cat "$work/out" >>"$work/alone"
done <"$work/lines"
cat "$work/together" "$work/alone" >"$work/out"
check 'len(lines) == 16 and all(r["prefix_tokens"] == 0 for r in lines[8:])'
check '[r["id"] for r in lines[:8]] == list(range(8))'
check 'all(a[k] == b[k] for a, b in zip(lines, lines[8:]) for k in ("token_ids", "text", "logprobs"))'
check 'lines[0]["prefix_tokens"] == 0 and lines[0]["prompt_tokens"] > 300'
check 'all(0 < r["prompt_tokens"] - r["prefix_tokens"] < 128 for r in lines[1:4])' 'the blocks at the end alone'
check 'lines[4]["prefix_tokens"] == 0 and lines[5]["prefix_tokens"] == 128' 'where the two part from the others'
check 'lines[7]["prefix_tokens"] == 0' 'less than two blocks'
finish
