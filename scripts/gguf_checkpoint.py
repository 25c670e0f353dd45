#!/usr/bin/env python3
"""Writes the checkpoint directory that a small Llama's GGUF file in f32 came from: the same numbers, so
that both front doors must give the same answers.

    python3 scripts/gguf_checkpoint.py MODEL.gguf DIR
"""
import json
import math
import os
import struct
import sys

from gguf_tokenizer import STRING, Reader, metadata, tokenizer

NAMES = {
    "token_embd.weight": "model.embed_tokens.weight", "output.weight": "lm_head.weight",
    "output_norm.weight": "model.norm.weight",
}
BLOCK = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}


def name_of(tensor):
    if tensor in NAMES:
        return NAMES[tensor]
    _, number, part, kind = tensor.split(".")
    return f"model.layers.{number}.{BLOCK[part]}.{kind}"


def halves(data, rows, row_size, head):
    """The rows of each head as Hugging Face has them: the first halves of all pairs, then the second."""
    out = []
    for row in range(rows):
        at = row % head
        here = row - at + 2 * (at % (head // 2)) + at // (head // 2)
        out.append(data[here * row_size:(here + 1) * row_size])
    return b"".join(out)


def tensors(reader, count):
    infos = []
    for _ in range(count):
        name = reader.value(STRING)
        shape = [reader.take("Q") for _ in range(reader.take("I"))]
        if reader.take("I") != 0:
            sys.exit(f"{name} is not in f32")
        infos.append((name, shape[::-1], reader.take("Q")))
    start = (reader.at + 31) // 32 * 32
    return {name: (shape, reader.data[start + at:start + at + 4 * math.prod(shape)])
            for name, shape, at in infos}


def safetensors(items):
    header, data = {}, []
    at = 0
    for name, (shape, content) in items.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(content)]}
        at += len(content)
        data.append(content)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(data)


def config(values, tied):
    def of(key):
        return values["llama." + key]
    return {
        "model_type": "llama", "dtype": "float32", "vocab_size": of("vocab_size"),
        "hidden_size": of("embedding_length"), "intermediate_size": of("feed_forward_length"),
        "num_hidden_layers": of("block_count"), "num_attention_heads": of("attention.head_count"),
        "num_key_value_heads": of("attention.head_count_kv"), "head_dim": of("attention.key_length"),
        "max_position_embeddings": of("context_length"), "rms_norm_eps": of("attention.layer_norm_rms_epsilon"),
        "rope_parameters": {"rope_type": "default", "rope_theta": of("rope.freq_base")},
        "tie_word_embeddings": tied, "eos_token_id": values["tokenizer.ggml.eos_token_id"],
    }


def main(source, target):
    with open(source, "rb") as f:
        reader = Reader(f.read())
    values = metadata(reader)
    head = values["llama.attention.key_length"]
    items = {}
    for name, (shape, data) in tensors(reader, values["tensors"]).items():
        if name.endswith((".attn_q.weight", ".attn_k.weight")):
            data = halves(data, shape[0], 4 * shape[1], head)
        items[name_of(name)] = (shape, data)
    os.makedirs(target, exist_ok=True)
    tokens = values["tokenizer.ggml.tokens"]
    named = {f"{which}_token": tokens[values[f"tokenizer.ggml.{which}_token_id"]] for which in ("bos", "eos")}
    files = {
        "config.json": json.dumps(config(values, "lm_head.weight" not in items)).encode(),
        "model.safetensors": safetensors(items),
        "tokenizer.json": json.dumps(tokenizer(values)).encode(),
        "tokenizer_config.json": json.dumps(named).encode(),
        "chat_template.jinja": values["tokenizer.chat_template"].encode(),
    }
    for name, content in files.items():
        with open(os.path.join(target, name), "wb") as f:
            f.write(content)


if __name__ == "__main__":
    main(*sys.argv[1:])
