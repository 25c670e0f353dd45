#!/bin/sh
# Surprise: within one tokenizers library the same question has two answers, many versions of Unicode apart.
#
# The pre-tokenizers Punctuation and BertPreTokenizer ask a table of Unicode 8 (2015) what punctuation is; a
# Split by the regular expression \p{P}, and what Digits calls a number, follow a Unicode of today. So whoever
# writes the "same" tokenizer.json with Split instead of Punctuation, or implements Punctuation with the
# tables of their own language, gets other ids: for 142 characters of the first two planes, marks of Bengali,
# Telugu, Kannada, Balinese and Arabic text among them, in both directions (U+166D has ceased to be
# punctuation). One would expect one version for a library, and it to follow the newest. To have its ids,
# both tables are needed.
#
# Installs the pinned package into a temporary folder; fails when the behaviour is another.
set -eu

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3

"$dir/venv/bin/python" - <<'PYTHON'
import tokenizers
from tokenizers import Regex, pre_tokenizers

WAYS = {
    "Punctuation": pre_tokenizers.Punctuation(),
    "BertPreTokenizer": pre_tokenizers.BertPreTokenizer(),
    "Split \\p{P}": pre_tokenizers.Split(Regex(r"\p{P}"), "isolated"),
}


def cuts(way, character):
    return len(WAYS[way].pre_tokenize_str("a" + character + "b")) > 1


print("tokenizers", tokenizers.__version__)
named = {0x2E41: "Unicode 7", 0x2E43: "Unicode 9", 0x09FD: "Unicode 10", 0x0C77: "Unicode 12", 0x1B7D: "Unicode 14",
         0x1B4E: "Unicode 16", 0x166D: "punctuation until Unicode 12"}
for code, since in named.items():
    print(f"U+{code:04X} ({since}):", ", ".join(f"{way} {'cuts' if cuts(way, chr(code)) else '-'}" for way in WAYS))
differ = [code for code in range(0x80, 0x20000) if not 0xD800 <= code < 0xE000
          and cuts("Punctuation", chr(code)) != cuts("Split \\p{P}", chr(code))]
print("Punctuation and \\p{P} differ for", len(differ), "characters of planes 0 and 1")
assert len(differ) == 142 and set(named) - {0x2E41} <= set(differ), "the behaviour has changed"
assert 0x2E41 not in differ and cuts("Punctuation", chr(0x166D)), "the behaviour has changed"
PYTHON
