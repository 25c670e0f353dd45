"""A case's checkpoint as a GGUF file, by llama.cpp's own converter, with the vocabulary of tokenizer.json."""

import json

from make_parity_models import Converter

PRE = {"qwen": "qwen2", "llama3": "llama-bpe", "gpt2": "gpt-2"}


def vocabulary(folder, kind):
    """A set_vocab for a converter class: its own would want a published tokenizer's hash."""
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    size = config.get("vocab_size") or config["text_config"]["vocab_size"]
    ids = {number: token for token, number in content["model"]["vocab"].items()}
    special = {token["id"]: token["content"] for token in content["added_tokens"]}
    tokens = [special.get(number, ids.get(number, f"[PAD{number}]")) for number in range(size)]
    known = [number in special or number in ids for number in range(size)]
    if kind in PRE:
        types = [3 if number in special else 1 if known[number] else 5 for number in range(size)]
    else:
        types = [3 if number in special else 5 if not known[number] else 6 if token.startswith("<0x") else
                 2 if token == "<unk>" else 1 for number, token in enumerate(tokens)]
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in content["model"]["merges"]]
    ranks = {"".join(merge.split(" ")): rank for rank, merge in reversed(list(enumerate(merges)))}

    def set_vocab(self):
        writer = self.gguf_writer
        if kind in PRE:
            writer.add_tokenizer_model("gpt2")
            writer.add_tokenizer_pre(PRE[kind])
            writer.add_token_merges(merges)
        else:
            writer.add_tokenizer_model("llama")
            writer.add_tokenizer_pre("default")
            writer.add_token_scores([-float(ranks.get(token, 1000)) for token in tokens])
            writer.add_add_space_prefix(kind == "sentencepiece")
        writer.add_token_list(tokens)
        writer.add_token_types(types)
        writer.add_bos_token_id(0)
        writer.add_eos_token_id(1)
        writer.add_add_bos_token(kind not in ("qwen", "gpt2"))

    return set_vocab


def fill(folder):
    """Gives every row of the embedding a token: Gemma 3's converter leaves out the rows that have none."""
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    size = config.get("vocab_size") or config["text_config"]["vocab_size"]
    have = len(content["model"]["vocab"]) + len(content["added_tokens"])
    content["added_tokens"] += [{"id": number, "content": f"[PAD{number}]"} for number in range(have, size)]
    path.write_text(json.dumps(content), encoding="utf-8")


def convert(llama_cpp, kind, folder, target):
    set_vocab = vocabulary(folder, kind)
    fill(folder)
    # Not the case's name: llama.cpp expects a published vocabulary of what is called Phi-3.
    Converter(llama_cpp.resolve()).convert(folder, set_vocab, "random weights", target)
