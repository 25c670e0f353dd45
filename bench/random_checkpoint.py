#!/usr/bin/env python3
"""Writes a checkpoint of a published model's shape with random weights in BF16, and adapters for it: what
matters for speed is the shape.

    bench/random_checkpoint.py SHAPE TOKENIZER DIR

SHAPE: 135M (SmolLM2-135M's), 0.5B or 1.5B (Qwen2.5's); 0.5B-llama, 0.5B-qwen3, 0.5B-gemma3 and 0.5B-qwen3_5 are
models of other families with the sizes of 0.5B. TOKENIZER: a published tokenizer's directory, with no more tokens
than the shape has.
"""
import json
import random
import shutil
import struct
import sys
from dataclasses import dataclass, replace
from pathlib import Path

QWEN = {"rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "max_position_embeddings": 32768, "hidden_act": "silu",
        "bos_token_id": 151643, "eos_token_id": 151643}
LLAMA = {"rms_norm_eps": 1e-5, "rope_theta": 100000.0, "max_position_embeddings": 8192, "hidden_act": "silu",
         "bos_token_id": 1, "eos_token_id": 2}
KEYS = {
    "qwen2": {**QWEN, "architectures": ["Qwen2ForCausalLM"], "use_sliding_window": False},
    "qwen3": {**QWEN, "architectures": ["Qwen3ForCausalLM"], "use_sliding_window": False, "attention_bias": False},
    "llama": {**LLAMA, "architectures": ["LlamaForCausalLM"]},
    "gemma3_text": {**QWEN, "architectures": ["Gemma3ForCausalLM"], "hidden_activation": "gelu_pytorch_tanh",
                    "query_pre_attn_scalar": 64, "sliding_window": 512, "sliding_window_pattern": 6,
                    "rope_local_base_freq": 10000.0},
    "qwen3_5_text": {**QWEN, "architectures": ["Qwen3_5ForCausalLM"], "attention_bias": False,
                     "partial_rotary_factor": 0.25, "full_attention_interval": 4, "linear_conv_kernel_dim": 4,
                     "linear_num_key_heads": 8, "linear_num_value_heads": 16, "linear_key_head_dim": 128,
                     "linear_value_head_dim": 128},
}


@dataclass(frozen=True)
class Shape:
    width: int
    middle: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    vocab: int = 151936
    family: str = "qwen2"

    def is_delta_net(self, layer):
        return self.family == "qwen3_5_text" and (layer + 1) % 4 != 0

    def attention(self):
        """(rows, columns) of each linear layer of a block's attention, by its name."""
        q, kv = self.heads * self.head, self.kv_heads * self.head
        gated = 2 if self.family == "qwen3_5_text" else 1
        return {"self_attn.q_proj": (gated * q, self.width), "self_attn.k_proj": (kv, self.width),
                "self_attn.v_proj": (kv, self.width), "self_attn.o_proj": (self.width, q)}

    def mlp(self):
        return {"mlp.gate_proj": (self.middle, self.width), "mlp.up_proj": (self.middle, self.width),
                "mlp.down_proj": (self.width, self.middle)}

    def linears(self):
        return {**self.attention(), **self.mlp()}

    def delta_net(self):
        keys = KEYS[self.family]
        state, heads = keys["linear_key_head_dim"], keys["linear_num_value_heads"]
        values = heads * state
        mixed = values + 2 * keys["linear_num_key_heads"] * state
        return {"in_proj_qkv.weight": [mixed, self.width], "in_proj_z.weight": [values, self.width],
                "in_proj_b.weight": [heads, self.width], "in_proj_a.weight": [heads, self.width],
                "conv1d.weight": [mixed, 1, keys["linear_conv_kernel_dim"]], "A_log": [heads], "dt_bias": [heads],
                "norm.weight": [state], "out_proj.weight": [self.width, values]}

    def mixer(self, layer):
        """What a block has before its MLP."""
        if self.is_delta_net(layer):
            yield from ((f"linear_attn.{name}", sizes) for name, sizes in self.delta_net().items())
            return
        for name, (rows, columns) in self.attention().items():
            yield f"{name}.weight", [rows, columns]
            if self.family == "qwen2" and not name.endswith("o_proj"):
                yield f"{name}.bias", [rows]
        if self.family not in ("qwen2", "llama"):
            yield "self_attn.q_norm.weight", [self.head]
            yield "self_attn.k_norm.weight", [self.head]

    def norms(self):
        yield from ("input_layernorm", "post_attention_layernorm")
        if self.family == "gemma3_text":
            yield from ("pre_feedforward_layernorm", "post_feedforward_layernorm")

    def tensors(self):
        yield "model.embed_tokens.weight", [self.vocab, self.width]
        for layer in range(self.layers):
            at = f"model.layers.{layer}."
            for name in self.norms():
                yield f"{at}{name}.weight", [self.width]
            for name, sizes in self.mixer(layer):
                yield at + name, sizes
            for name, sizes in self.mlp().items():
                yield f"{at}{name}.weight", list(sizes)
        yield "model.norm.weight", [self.width]


SHAPES = {"135M": Shape(576, 1536, 30, 9, 3, 64, 49152, "llama"), "0.5B": Shape(896, 4864, 24, 14, 2, 64),
          "1.5B": Shape(1536, 8960, 28, 12, 2, 128)}
for name, family in (("llama", "llama"), ("qwen3", "qwen3"), ("gemma3", "gemma3_text"), ("qwen3_5", "qwen3_5_text")):
    SHAPES[f"0.5B-{name}"] = replace(SHAPES["0.5B"], family=family)


def product(shape):
    total = 1
    for n in shape:
        total *= n
    return total


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
                out.write(norm[:2 * product(sizes)])
                continue
            left = 2 * product(sizes)
            while left:  # another beginning for each tensor
                first = 2 * (number * 7919 % (1 << 17))
                piece = matrix[first:first + left]
                out.write(piece)
                left -= len(piece)


def config_of(shape):
    return {**KEYS[shape.family], "model_type": shape.family, "hidden_size": shape.width,
            "intermediate_size": shape.middle, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.kv_heads, "head_dim": shape.head, "tie_word_embeddings": True,
            "torch_dtype": "bfloat16", "vocab_size": shape.vocab}


def make_checkpoint(folder, tokenizer, shape):
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"):
        if (tokenizer / name).exists():
            shutil.copy(tokenizer / name, folder / name)
    if not (folder / "tokenizer_config.json").exists():
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    (folder / "config.json").write_text(json.dumps(config_of(shape)))
    write_weights(folder / "model.safetensors", shape)


def make_adapter(folder, shape, rank=8):
    """On all linear layers, in BF16, in the order of names, in which safetensors writes them."""
    folder.mkdir()
    tensors = sorted((f"base_model.model.model.layers.{layer}.{name}.lora_{part}.weight", sizes)
                      for layer in range(shape.layers) for name, (rows, columns) in shape.linears().items()
                      for part, sizes in (("A", [rank, columns]), ("B", [rows, rank])))
    (folder / "adapter_model.safetensors").write_bytes(
        header_of(tensors) + b"".join(noise(product(sizes), 0.01) for _, sizes in tensors))
    (folder / "adapter_config.json").write_text(json.dumps({
        "peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "bias": "none", "task_type": "CAUSAL_LM",
        "target_modules": sorted(name.split(".")[-1] for name in shape.linears())}))


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in SHAPES:
        sys.exit(__doc__)
    make_checkpoint(Path(sys.argv[3]), Path(sys.argv[2]), SHAPES[sys.argv[1]])
