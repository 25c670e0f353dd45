#!/bin/sh
# Surprise: adding one token can change how every text is cut, also texts in which it does not occur.
#
# tokenizers normalizes an added token (normalized=True, the default for a plain string) and then looks for
# the result in the normalized text. Where the normalizer takes all of the token away (a combining accent
# under StripAccents, say), what it looks for is the empty text, which is found between any two characters:
# every text is cut there, no merge of the model ever applies, and "hello" is five tokens. One would
# expect that such a token is never found, or refused when it is added. Nothing is said, and the ids stay
# valid, so that a model only gets worse and slower.
#
# Installs the pinned package into a temporary folder; fails when the behaviour is another.
set -eu

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3

"$dir/venv/bin/python" - <<'PYTHON'
import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers

LETTERS = {c: i for i, c in enumerate("hello wrd")}
MERGES = [("h", "e"), ("he", "l"), ("hel", "l"), ("hell", "o")]
VOCABULARY = {**LETTERS, **{a + b: 20 + i for i, (a, b) in enumerate(MERGES)}}


def tokens(added, normalized):
    t = Tokenizer(models.BPE(vocab=VOCABULARY, merges=MERGES))
    t.normalizer = normalizers.StripAccents()
    if added:
        t.add_tokens([AddedToken(added, normalized=normalized)])
    return t.encode("hello hello").tokens


print("tokenizers", tokenizers.__version__)
whole = ["hello", " ", "hello"]
cases = [
    ("no added token", tokens(None, True), whole),
    ("<x>", tokens("<x>", True), whole),
    ("U+0301, normalized=False", tokens("\u0301", False), whole),
    ("U+0301, normalized=True", tokens("\u0301", True), list("hello hello")),
]
for name, got, _ in cases:
    print(f"{name:26} {got}")
assert all(got == want for _, got, want in cases), "the behaviour has changed"
PYTHON
