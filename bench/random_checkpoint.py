#!/usr/bin/env python3
"""Writes a checkpoint of a published Qwen2.5's shape with random weights in BF16, and adapters for it: what
matters for speed is the shape.

    bench/random_checkpoint.py 0.5B|1.5B TOKENIZER DIR

TOKENIZER: a published Qwen tokenizer's directory.
"""
import json
import random
import shutil
import struct
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Shape:
    width: int
    middle: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    vocab: int = 151936

    def linears(self):
        """(rows, columns) of each linear layer of a block, by its name."""
        q, kv = self.heads * self.head, self.kv_heads * self.head
        return {"self_attn.q_proj": (q, self.width), "self_attn.k_proj": (kv, self.width),
                "self_attn.v_proj": (kv, self.width), "self_attn.o_proj": (self.width, q),
                "mlp.gate_proj": (self.middle, self.width), "mlp.up_proj": (self.middle, self.width),
                "mlp.down_proj": (self.width, self.middle)}

    def tensors(self):
        yield "model.embed_tokens.weight", [self.vocab, self.width]
        for layer in range(self.layers):
            at = f"model.layers.{layer}."
            yield at + "input_layernorm.weight", [self.width]
            yield at + "post_attention_layernorm.weight", [self.width]
            for name, (rows, columns) in self.linears().items():
                yield f"{at}{name}.weight", [rows, columns]
                if name[-6] in "qkv" and name.startswith("self_attn"):
                    yield f"{at}{name}.bias", [rows]
        yield "model.norm.weight", [self.width]


SHAPES = {"0.5B": Shape(896, 4864, 24, 14, 2, 64), "1.5B": Shape(1536, 8960, 28, 12, 2, 128)}


def product(shape):
    return shape[0] * (shape[1] if len(shape) > 1 else 1)


def noise(count, scale, centre=0.0):
    """`count` numbers in BF16, from a fixed seed."""
    source = random.Random(7)
    return b"".join(struct.pack("<f", centre + source.uniform(-scale, scale))[2:] for _ in range(count))


def header_of(tensors):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors:
        size = 2 * product(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def write_weights(path, shape):
    matrix, norm = noise(1 << 18, 0.05) * 4, noise(shape.width, 0.1, 1.0)
    with open(path, "wb") as out:
        out.write(header_of(shape.tensors()))
        for number, (name, sizes) in enumerate(shape.tensors()):
            if name.endswith("norm.weight"):
                out.write(norm)
                continue
            left = 2 * product(sizes)
            while left:  # another beginning for each tensor
                first = 2 * (number * 7919 % (1 << 17))
                piece = matrix[first:first + left]
                out.write(piece)
                left -= len(piece)


def make_checkpoint(folder, tokenizer, shape):
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"):
        if (tokenizer / name).exists():
            shutil.copy(tokenizer / name, folder / name)
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu",
        "hidden_size": shape.width, "intermediate_size": shape.middle, "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads, "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
        "use_sliding_window": False, "vocab_size": shape.vocab, "bos_token_id": 151643, "eos_token_id": 151643}))
    write_weights(folder / "model.safetensors", shape)


def make_adapter(folder, shape, rank=8):
    """On all linear layers, in BF16."""
    folder.mkdir()
    tensors = [(f"base_model.model.model.layers.{layer}.{name}.lora_{part}.weight", sizes)
               for layer in range(shape.layers) for name, (rows, columns) in shape.linears().items()
               for part, sizes in (("A", [rank, columns]), ("B", [rows, rank]))]
    (folder / "adapter_model.safetensors").write_bytes(
        header_of(tensors) + b"".join(noise(product(sizes), 0.01) for _, sizes in tensors))
    (folder / "adapter_config.json").write_text(json.dumps({
        "peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "bias": "none", "task_type": "CAUSAL_LM",
        "target_modules": sorted(name.split(".")[-1] for name in shape.linears())}))


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in SHAPES:
        sys.exit(__doc__)
    make_checkpoint(Path(sys.argv[3]), Path(sys.argv[2]), SHAPES[sys.argv[1]])
