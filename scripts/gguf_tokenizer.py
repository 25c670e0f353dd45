#!/usr/bin/env python3
"""Prints the tokenizer.json that the byte-level vocabulary of a GGUF file came from, for the
pre-tokenizers of GPT-2 and SmolLM2.

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


def metadata(reader):
    """The keys; the reader is then at the first tensor's name. Their number is in "tensors"."""
    r = reader
    if r.take("4s") != b"GGUF":
        sys.exit("this is no GGUF file")
    r.take("I")
    values = {"tensors": r.take("Q")}
    for _ in range(r.take("Q")):
        key = r.value(STRING)
        values[key] = r.value(r.take("I"))
    return values


def pre_tokenizer(name):
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    if name == "gpt-2":
        return level
    if name != "smollm":
        sys.exit(f"the pre-tokenizer is {name}, which is not known here")
    digits = {"type": "Digits", "individual_digits": True}
    return {"type": "Sequence", "pretokenizers": [digits, level]}


def tokenizer(values):
    tokens = values["tokenizer.ggml.tokens"]
    kinds = values["tokenizer.ggml.token_type"]
    pre = pre_tokenizer(values["tokenizer.ggml.pre"])
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": kinds[i] == CONTROL}
                         for i, t in enumerate(tokens) if kinds[i] in (CONTROL, USER_DEFINED)],
        "normalizer": None, "pre_tokenizer": pre,
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "vocab": {t: i for i, t in enumerate(tokens)}, "merges": values["tokenizer.ggml.merges"]},
    }


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as f:
        json.dump(tokenizer(metadata(Reader(f.read(16 << 20)))), sys.stdout, ensure_ascii=False)
