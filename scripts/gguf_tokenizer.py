#!/usr/bin/env python3
"""Prints the tokenizer.json that the byte-level vocabulary of a GGUF file came from, for SmolLM2's
pre-tokenizer.

    python3 scripts/gguf_tokenizer.py MODEL.gguf > tokenizer.json
"""
import json
import struct
import sys

FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
CONTROL, USER_DEFINED = 3, 4


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        value, = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return value

    def value(self, kind):
        if kind == STRING:
            n = self.take("Q")
            self.at += n
            return self.data[self.at - n:self.at].decode()
        if kind == ARRAY:
            item, n = self.take("I"), self.take("Q")
            return [self.value(item) for _ in range(n)]
        return self.take(FORMATS[kind])


def metadata(path):
    with open(path, "rb") as f:
        r = Reader(f.read(16 << 20))
    if r.take("4s") != b"GGUF":
        sys.exit(path + " is no GGUF file")
    r.take("I")
    r.take("Q")
    values = {}
    for _ in range(r.take("Q")):
        key = r.value(STRING)
        values[key] = r.value(r.take("I"))
    return values


values = metadata(sys.argv[1])
if values["tokenizer.ggml.pre"] != "smollm":
    sys.exit("the pre-tokenizer is not SmolLM's")
tokens = values["tokenizer.ggml.tokens"]
kinds = values["tokenizer.ggml.token_type"]
level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
json.dump({
    "version": "1.0", "truncation": None, "padding": None,
    "added_tokens": [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                      "normalized": False, "special": kinds[i] == CONTROL}
                     for i, t in enumerate(tokens) if kinds[i] in (CONTROL, USER_DEFINED)],
    "normalizer": None,
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, level]},
    "post_processor": None, "decoder": level,
    "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
              "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
              "vocab": {t: i for i, t in enumerate(tokens)}, "merges": values["tokenizer.ggml.merges"]},
}, sys.stdout, ensure_ascii=False)
