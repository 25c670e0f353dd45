#!/usr/bin/env python3
"""Make parity cases: small checkpoints and PEFT adapters, and what transformers and PEFT compute.

    python scripts/make_parity_cases.py [--only NAME]... [--every] [--stored] [--gguf LLAMA_CPP] DIR

Each case is a model of one family, random but shaped like the published ones (layer patterns,
windows, rope kinds, biases, eps, soft caps, heads tied and untied), adapters of many kinds, and
token ids, logits and greedy continuations of all of them. scripts/parity_case.py says what is in
a case, scripts/parity.py checks it.

Without --stored the weights are recipes that the check makes numbers of: this is how tests/parity/
cases was made. --stored writes the files themselves, in shards where the case says so. --every
gives each model every kind of adapter that it can have, not only its share of them. --gguf, a
llama.cpp source tree, writes each model as a GGUF file instead, by llama.cpp's own converter.

    pip install -r scripts/requirements-parity.txt
"""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer

from parity_case import copy, mutate, read_safetensors, write_made
from parity_tokenizer import TEXTS, write_tokenizer

TOKENS = 10  # of a greedy continuation
MARGIN = 0.05  # its smallest acceptable lead; 50 times the tolerance
TOLERANCE = 1e-3
BOS, EOS = 0, 1
SPLIT = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
COMMON = {"vocab_size": 384, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
          "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
          "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": None}
LLAMA3_ROPE = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
PLAIN_ROPE = {"rope_type": "default", "rope_theta": 10000.0}


# ---- the models -----------------------------------------------------------------------------

def qwen35_text(**more):
    return transformers.Qwen3_5TextConfig(**{
        **COMMON, "num_hidden_layers": 5, "head_dim": 32, "rms_norm_eps": 1e-6,
        "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 32,
        "linear_value_head_dim": 32, "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000000.0,
                            "partial_rotary_factor": 0.25, "mrope_interleaved": True,
                            "mrope_section": [2, 1, 1]}, **more})


def qwen35_nested():
    vision = {"depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2,
              "out_hidden_size": 64, "num_position_embeddings": 16, "patch_size": 4}
    text = qwen35_text(tie_word_embeddings=False, linear_num_value_heads=2).to_dict()
    return transformers.Qwen3_5Config(text_config=text, vision_config=vision, image_token_id=374,
                                      video_token_id=375, vision_start_token_id=376,
                                      vision_end_token_id=377)


def gemma3_text(**more):
    return transformers.Gemma3TextConfig(**{
        **COMMON, "num_hidden_layers": 7, "head_dim": 32, "query_pre_attn_scalar": 32,
        "sliding_window": 16, "rms_norm_eps": 1e-6, "num_key_value_heads": 1,
        "tie_word_embeddings": True,
        "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
                            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}, **more})


def gemma3_nested():
    vision = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 16, "patch_size": 8}
    return transformers.Gemma3Config(
        text_config=gemma3_text(final_logit_softcapping=5.0).to_dict(), vision_config=vision, mm_tokens_per_image=4,
        image_token_index=374, boi_token_index=375, eoi_token_index=376)


# A case each: its configuration, the dtype of its files, the tokenizer, its linear layers, and
# which kinds of adapters it has a share in (KINDS). `change` is the config value that is mutated.
CASES = {
    "qwen3_5_text": {"config": qwen35_text, "dtype": "bfloat16", "tokenizer": "qwen",
                     "linears": [*SPLIT, "in_proj_qkv", "in_proj_z", "in_proj_b", "in_proj_a", "out_proj"],
                     "kinds": ["plain", "rslora", "patterns", "layers", "dora", "norms", "full"],
                     "renamed": ("model.layers.", "model.language_model.layers."), "change": ("rope_parameters.rope_theta", 100.0)},
    "qwen3_5": {"config": qwen35_nested, "dtype": "bfloat16", "tokenizer": "qwen",
                "linears": [*SPLIT, "in_proj_qkv", "in_proj_z", "in_proj_b", "in_proj_a", "out_proj"],
                "kinds": ["plain", "rslora", "regex", "lm_head"], "renamed": (".language_model.", "."),
                "change": ("text_config.rope_parameters.rope_theta", 100.0)},
    "qwen2": {"config": lambda: transformers.Qwen2Config(
        **{**COMMON, "num_attention_heads": 7 * 2, "hidden_size": 7 * 32}, rms_norm_eps=1e-6, use_sliding_window=False,
        tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}),
        "dtype": "bfloat16", "tokenizer": "qwen", "linears": SPLIT,
        "kinds": ["plain", "rslora", "patterns", "layers", "dora", "bias", "tokens", "embeddings", "own_biases"],
        "change": ("rms_norm_eps", 0.3)},
    "qwen2-untied": {"config": lambda: transformers.Qwen2Config(
        **COMMON, rms_norm_eps=1e-6, use_sliding_window=False, tie_word_embeddings=False),
        "dtype": "float16", "tokenizer": "qwen", "linears": SPLIT, "shards": True,
        "kinds": ["plain", "lm_head", "saved_head"], "change": ("rms_norm_eps", 0.3)},
    "qwen3": {"config": lambda: transformers.Qwen3Config(
        **COMMON, head_dim=32, rms_norm_eps=1e-6, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}),
        "dtype": "bfloat16", "tokenizer": "qwen", "linears": SPLIT,
        "kinds": ["plain", "rslora", "patterns", "regex", "dora", "norms"],
        "change": ("rope_parameters.rope_theta", 100.0)},
    "llama": {"config": lambda: transformers.LlamaConfig(
        **COMMON, rms_norm_eps=1e-5, tie_word_embeddings=False, rope_parameters=PLAIN_ROPE),
        "dtype": "float16", "tokenizer": "sentencepiece", "linears": SPLIT,
        "kinds": ["plain", "rslora", "patterns", "regex", "layers", "dora", "lm_head", "saved_head", "norms"],
        "change": ("rms_norm_eps", 0.3)},
    "llama3": {"config": lambda: transformers.LlamaConfig(
        **COMMON, head_dim=32, rms_norm_eps=1e-5, tie_word_embeddings=True, rope_parameters=LLAMA3_ROPE),
        "dtype": "bfloat16", "tokenizer": "llama3", "linears": SPLIT,
        "kinds": ["plain", "rslora", "exclude", "tied_head"], "change": ("rope_parameters.factor", 2.0)},
    "llama-biases": {"config": lambda: transformers.LlamaConfig(
        **COMMON, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-5, tie_word_embeddings=False,
        rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}),
        "dtype": "float32", "tokenizer": "sentencepiece", "linears": SPLIT, "kinds": ["plain", "bias", "full", "biases"],
        "change": ("rope_parameters.factor", 1.0)},
    "mistral": {"config": lambda: transformers.MistralConfig(
        **COMMON, head_dim=32, rms_norm_eps=1e-5, sliding_window=None, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}),
        "dtype": "bfloat16", "tokenizer": "sentencepiece", "linears": SPLIT,
        "kinds": ["plain", "rslora", "dora", "lm_head"], "change": ("rms_norm_eps", 0.3)},
    "gemma2": {"config": lambda: transformers.Gemma2Config(
        **{**COMMON, "num_hidden_layers": 4}, head_dim=32, rms_norm_eps=1e-6, query_pre_attn_scalar=32,
        sliding_window=16, attn_logit_softcapping=50.0, final_logit_softcapping=30.0, tie_word_embeddings=True),
        "dtype": "bfloat16", "tokenizer": "gemma", "linears": SPLIT,
        "kinds": ["plain", "rslora", "patterns", "dora", "norms"],
        "change": ("sliding_window", 4)},
    "gemma3_text": {"config": gemma3_text, "dtype": "bfloat16", "tokenizer": "gemma", "linears": SPLIT,
                    "kinds": ["plain", "rslora", "patterns", "layers", "dora"],
                    "change": ("sliding_window", 4)},
    "gemma3": {"config": gemma3_nested, "dtype": "bfloat16", "tokenizer": "gemma", "linears": SPLIT,
               "kinds": ["plain", "regex"], "exclude": ".*vision_tower.*", "renamed": (".language_model.", "."),
               "change": ("text_config.sliding_window", 4)},
    "phi3": {"config": lambda: transformers.Phi3Config(
        **COMMON, rms_norm_eps=1e-5, sliding_window=None, original_max_position_embeddings=512,
        tie_word_embeddings=False, rope_parameters=PLAIN_ROPE),
        "dtype": "bfloat16", "tokenizer": "sentencepiece",
        "linears": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"],
        "kinds": ["plain", "rslora", "patterns", "layers", "dora", "lm_head"], "change": ("rms_norm_eps", 0.3)},
    "phi4-mini": {"config": lambda: transformers.Phi3Config(
        **COMMON, rms_norm_eps=1e-5, sliding_window=None, original_max_position_embeddings=64,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.75,
                         "short_factor": [1.0, 1.1, 1.2, 1.4, 1.7, 2.1],
                         "long_factor": [1.0, 1.5, 2.0, 4.0, 9.0, 20.0]}),
        "dtype": "bfloat16", "tokenizer": "qwen",
        "linears": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"],
        "kinds": ["plain", "rslora"], "change": ("rms_norm_eps", 0.3)},
    "smollm3": {"config": lambda: transformers.SmolLM3Config(
        **{**COMMON, "num_hidden_layers": 5}, rms_norm_eps=1e-6, no_rope_layer_interval=4,
        use_sliding_window=False, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 5000000.0}),
        "dtype": "bfloat16", "tokenizer": "llama3", "linears": SPLIT,
        "kinds": ["plain", "rslora", "regex", "dora"], "change": ("rms_norm_eps", 0.3)},
    "gpt2": {"config": lambda: transformers.GPT2Config(
        vocab_size=384, n_positions=256, n_ctx=256, n_embd=64, n_layer=3, n_head=4, layer_norm_epsilon=1e-5,
        bos_token_id=BOS, eos_token_id=EOS),
        "dtype": "float32", "tokenizer": "qwen", "linears": ["c_attn", "c_proj", "c_fc"],
        "kinds": ["plain", "rslora", "patterns", "layers", "dora", "tokens", "full", "positions", "biases"],
        "hub_names": True,
        "change": ("layer_norm_epsilon", 0.3)},
    "qwen3_moe": {"config": lambda: transformers.Qwen3MoeConfig(
        **COMMON, head_dim=32, rms_norm_eps=1e-6, num_experts=8, num_experts_per_tok=2,
        moe_intermediate_size=32, norm_topk_prob=True, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}),
        "dtype": "bfloat16", "tokenizer": "qwen", "linears": ["q_proj", "k_proj", "v_proj", "o_proj"],
        "kinds": ["plain", "rslora", "experts", "router"], "change": ("num_experts_per_tok", 1)},
    "mixtral": {"config": lambda: transformers.MixtralConfig(
        **COMMON, rms_norm_eps=1e-5, num_local_experts=4, num_experts_per_tok=2, sliding_window=None,
        tie_word_embeddings=False, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}),
        "dtype": "bfloat16", "tokenizer": "sentencepiece", "linears": ["q_proj", "k_proj", "v_proj", "o_proj"],
        "kinds": ["plain", "rslora", "experts"], "change": ("num_experts_per_tok", 1)},
}

# Changed configs that must be refused: value, exit code, words of the message. The window ones are refused
# only for texts beyond what the graph computes exactly.
UNSUPPORTED, TOO_LONG = 5, 13
REFUSALS = {
    "qwen3_5_text": [({"attention_bias": True}, UNSUPPORTED, ["attention_bias"]),
                     ({"layer_types": ["linear_attention"] * 5}, UNSUPPORTED, ["layer_types", "full attention"]),
                     ({"layer_types": ["full_attention"] * 5}, UNSUPPORTED, ["layer_types", "linear attention"])],
    "qwen2": [({"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0, "layer_types": None},
               TOO_LONG, ["4 positions"]),
              ({"hidden_act": "relu"}, UNSUPPORTED, ["hidden_act", "relu"]),
              ({"model_type": "qwen99"}, UNSUPPORTED, ["qwen99", "gemma2", "mixtral"]),
              ({"num_hidden_layers": 2}, UNSUPPORTED, ["layers.2."])],
    "qwen3": [({"attention_bias": True}, UNSUPPORTED, ["attention_bias"])],
    "llama": [({"quantization_config": {"quant_method": "gptq"}}, UNSUPPORTED, ["quantization_config"]),
              ({"is_causal": False}, UNSUPPORTED, ["is_causal", "false"]),
              ({"rope_parameters.rope_type": "longrope", "rope_parameters.short_factor": [1.0] * 8,
                "rope_parameters.long_factor": [1.0] * 8}, UNSUPPORTED, ["longrope"])],
    "mistral": [({"sliding_window": 4}, TOO_LONG, ["4 positions"])],
    "gemma2": [({"query_pre_attn_scalar": 16}, UNSUPPORTED, ["query_pre_attn_scalar", "16"]),
               ({"attention_bias": True}, UNSUPPORTED, ["attention_bias"])],
    "gemma3_text": [({"attn_logit_softcapping": 50.0}, UNSUPPORTED, ["attn_logit_softcapping"]),
                    ({"query_pre_attn_scalar": 16}, UNSUPPORTED, ["query_pre_attn_scalar", "16"])],
    "phi3": [({"sliding_window": 4}, TOO_LONG, ["4 positions"])],
    "smollm3": [({"no_rope_layers": [1, 0, 1, 1, 1]}, UNSUPPORTED, ["no_rope_layers"]),
                ({"mlp_bias": True}, UNSUPPORTED, ["mlp_bias"])],
    "gpt2": [({"scale_attn_by_inverse_layer_idx": True}, UNSUPPORTED, ["scale_attn_by_inverse_layer_idx"]),
             ({"activation_function": "relu"}, UNSUPPORTED, ["activation_function", "relu"])],
    "qwen3_moe": [({"norm_topk_prob": False}, UNSUPPORTED, ["norm_topk_prob"]),
                  ({"mlp_only_layers": [0]}, UNSUPPORTED, ["mlp_only_layers"]),
                  ({"decoder_sparse_step": 2}, UNSUPPORTED, ["decoder_sparse_step"])],
    "mixtral": [({"sliding_window": 4}, TOO_LONG, ["4 positions"])],
}

# ---- the adapters ---------------------------------------------------------------------------
# Each is made from the case's linear layers `of`, and the number of layers; with the dtype of its file.

def some(of, count):
    return of[:count]


KINDS = {
    "plain": lambda of, layers: ({"r": 8, "lora_alpha": 16, "target_modules": of}, "float32"),
    "rslora": lambda of, layers: ({"r": 4, "lora_alpha": 6, "use_rslora": True, "target_modules": of[::2]}, "bfloat16"),
    "patterns": lambda of, layers: (
        {"r": 4, "lora_alpha": 8, "target_modules": some(of, 4), "rank_pattern": {of[0]: 16, rf"1\..*{some(of, 4)[-1]}": 2},
         "alpha_pattern": {rf"2\..*{of[0]}": 3, some(of, 4)[-1]: 5}}, "float32"),
    "regex": lambda of, layers: (
        {"r": 4, "lora_alpha": 8, "target_modules": rf".*(layers|h)\.[02]\..*({'|'.join(of[1:])})"}, "float16"),
    "layers": lambda of, layers: (
        {"r": 4, "lora_alpha": 12, "target_modules": of, "layers_to_transform": [0, layers - 1]}, "float32"),
    "exclude": lambda of, layers: (
        {"r": 4, "lora_alpha": 12, "target_modules": of, "exclude_modules": [of[0], f"layers.1.self_attn.{of[2]}"]},
        "bfloat16"),
    "dora": lambda of, layers: ({"r": 4, "lora_alpha": 8, "target_modules": some(of, 4), "use_dora": True}, "float32"),
    "bias": lambda of, layers: ({"r": 4, "lora_alpha": 8, "target_modules": of, "lora_bias": True}, "float32"),
    "lm_head": lambda of, layers: ({"r": 4, "lora_alpha": 8, "target_modules": [of[0], "lm_head"]}, "float32"),
    "tied_head": lambda of, layers: ({"r": 4, "lora_alpha": 8, "target_modules": [of[0], "lm_head"]}, "float32"),
    "embeddings": lambda of, layers: ({"r": 4, "lora_alpha": 8, "target_modules": [of[0], "embed_tokens"]}, "float32"),
    "tokens": lambda of, layers: (
        {"r": 4, "lora_alpha": 8, "target_modules": some(of, 2), "trainable_token_indices": [5, 70, 100, 33]}, "float32"),
    "saved_head": lambda of, layers: (
        {"r": 4, "lora_alpha": 8, "target_modules": some(of, 2), "modules_to_save": ["lm_head"]}, "float32"),
    "norms": lambda of, layers: (
        {"r": 4, "lora_alpha": 8, "target_modules": some(of, 2), "modules_to_save": ["norm", "input_layernorm"]}, "float32"),
    "full": lambda of, layers: (
        {"r": 4, "lora_alpha": 8, "target_modules": of[1:2], "modules_to_save": [of[0], of[-1]]}, "bfloat16"),
    "positions": lambda of, layers: (
        {"r": 4, "lora_alpha": 8, "target_modules": some(of, 2), "modules_to_save": ["wpe"]}, "float32"),
    "biases": lambda of, layers: (
        {"r": 4, "lora_alpha": 8, "target_modules": of[:1], "bias": "all"}, "float32"),
    "own_biases": lambda of, layers: (
        {"r": 4, "lora_alpha": 8, "target_modules": of[:2], "bias": "lora_only"}, "float32"),
    "experts": lambda of, layers: (
        {"r": 4, "lora_alpha": 8, "target_modules": some(of, 2),
         "target_parameters": ["experts.gate_up_proj", "experts.down_proj"]}, "float32"),
    "router": lambda of, layers: (
        {"r": 4, "lora_alpha": 8, "target_modules": some(of, 2), "target_parameters": ["mlp.gate.weight"]}, "float32"),
}
# What --every adds: kinds that a model can have, whatever its share.
GENERAL = ["plain", "rslora", "patterns", "regex", "layers", "dora", "bias", "norms"]
# Several at once; those whose adapters a case lacks are left out.
STACKS = [[("plain", 0.5), ("rslora", -0.75)], [("plain", 1.0), ("patterns", 0.5), ("rslora", 0.25)],
          [("regex", 1.5)], [("dora", 1.0), ("plain", 0.5)], [("experts", 0.5), ("plain", 0.5)]]


def is_scale(name):
    return re.search(r"(norm|ln_\w)\.weight$", name) is not None


def spread(name, shape, plus_one, gemma):
    """Centre and scale of a tensor's numbers, so that every one of them matters."""
    if is_scale(name):
        plain = not plus_one or "linear_attn.norm" in name
        if name.endswith("ln_f.weight"):
            return 2.0, 0.4
        last = re.fullmatch(r"(.*\.)?(language_)?model\.norm\.weight", name) is not None
        return (3.0 if last and gemma else 1.0 if plain else 0.0), 0.4
    if name.endswith("A_log"):
        return 0.5, 1.0
    if "magnitude" in name:
        return 1.5, 0.5
    if len(shape) < 2:
        return 0.0, 0.3
    if "wte" in name:
        return 0.0, 0.4
    if any(word in name for word in ("embed", "token_adapter")):
        return 0.0, 0.15 if gemma else 1.0  # what Gemma's factor of sqrt(width) makes of it
    if "wpe" in name:
        return 0.0, 0.5
    if "conv1d" in name:
        return 0.0, 1.0
    if "lora_" in name:
        return 0.0, 0.3
    return 0.0, (6.0 / shape[-1]) ** 0.5


# ---- making ---------------------------------------------------------------------------------

def settle(path, seed, model_type, same=None, dtype=None):
    """Gives every tensor of a safetensors file numbers of ours; returns the recipe. `same` maps names
    of tensors that are copies to (seed, tensor, dtype, centre, scale)."""
    metadata, tensors = read_safetensors(path)
    recipe = {"metadata": metadata, "seed": seed, "tensors": []}
    for name, kind, shape, _ in tensors:
        if same and name in same:
            of_seed, of, kind, centre, scale = same[name]
            recipe["tensors"].append([name, kind, shape, centre, scale, None, of_seed, of])
        else:
            centre, scale = spread(name, shape, model_type.startswith(("gemma", "qwen3_5")),
                                   model_type.startswith("gemma"))
            recipe["tensors"].append([name, dtype or kind, shape, centre, round(scale, 4)])
    write_made(path, recipe)
    return recipe


def write_recipe(path, recipe):
    """Tensors that differ in the number of their block alone become one row."""
    rows = {}
    for name, dtype, shape, centre, scale, *more in recipe["tensors"]:
        of = more[1:]  # its seed and name, of a copy
        block = re.search(r"\.(\d+)\.", name)
        pattern = re.sub(r"\.\d+\.", ".#.", name, count=1)
        of = [of[0], re.sub(r"\.\d+\.", ".#.", of[1], count=1)] if of else []
        rows.setdefault(json.dumps([[pattern, dtype, shape, centre, scale], of]), []).append(block and int(block[1]))
    lines = []
    for row, numbers in rows.items():
        begin, of = json.loads(row)
        numbers = None if numbers == [None] else numbers
        lines.append(json.dumps([*begin, *([numbers] if numbers or of else []), *of], separators=(",", ":")))
    head = json.dumps({"metadata": recipe["metadata"], "seed": recipe["seed"]})[:-1]
    path.write_text(f'{head}, "tensors": [\n' + ",\n".join(lines) + "]}\n", encoding="utf-8")


def model_class(config):
    if config.model_type in ("qwen3_5", "gemma3"):
        return transformers.AutoModelForImageTextToText
    return transformers.AutoModelForCausalLM


def load(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    model = model_class(config).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    return model.eval()


def text_config(config):
    return config.get_text_config()


def make_model(folder, spec, name):
    """The checkpoint; returns the recipes of its files."""
    config = spec["config"]()
    dtype = getattr(torch, spec["dtype"])
    config.dtype = dtype
    torch.manual_seed(1)
    model = model_class(config).from_config(config).to(dtype)
    model.save_pretrained(folder, **({"max_shard_size": "100KB"} if spec.get("shards") else {}))
    if spec.get("hub_names"):
        rename(folder / "model.safetensors", lambda key: key.removeprefix("transformer."))
    return {path: settle(path, name, config.model_type) for path in sorted(folder.glob("*.safetensors"))}


def rename(path, change):
    from safetensors.torch import load_file, save_file
    save_file({change(key): value for key, value in load_file(path).items()}, path, metadata={"format": "pt"})


def tidy_adapter(folder, base_name):
    for extra in folder.glob("*.md"):
        extra.unlink()
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base_name
    for key in ("target_modules", "exclude_modules"):
        if isinstance(config.get(key), list):
            config[key] = sorted(config[key])
    path.write_text(json.dumps({key: value for key, value in sorted(config.items()) if value not in (None, {}, False)})
                    + "\n", encoding="utf-8")


def copies_of_base(folder, recipes):
    """The tensors of an adapter that repeat the base's (`base_layer.weight`), as `settle` wants them."""
    base = {entry[0]: (recipe["seed"], entry) for recipe in recipes.values() for entry in recipe["tensors"]}
    tied = {"lm_head.weight": ["model.embed_tokens.weight", "wte.weight", "model.language_model.embed_tokens.weight"]}
    same = {}
    for name, *_ in read_safetensors(folder / "adapter_model.safetensors")[1]:
        if not name.endswith(".base_layer.weight"):
            continue
        module = name.removeprefix("base_model.model.").replace(".base_layer.weight", ".weight")
        for candidate in [module, *tied.get(module, [])]:
            if candidate in base:
                seed, entry = base[candidate]
                same[name] = (seed, candidate, entry[1], entry[3], entry[4])
                break
        else:
            raise ValueError(f"{name}: not in the base")
    return same


def make_adapter(model_folder, folder, arguments, dtype, name, recipes):
    """The PEFT folder of random numbers; returns the recipe of its file."""
    model = load(model_folder)
    torch.manual_seed(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = get_peft_model(model, LoraConfig(**arguments, lora_dropout=0.0, task_type="CAUSAL_LM"))
        wrapped.save_pretrained(folder)
    tidy_adapter(folder, name)
    path = folder / "adapter_model.safetensors"
    model_type = transformers.AutoConfig.from_pretrained(model_folder).model_type
    kind = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}[dtype]
    return path, settle(path, f"{name}/{folder.name}", model_type, copies_of_base(folder, recipes), kind)


def rename_adapter(adapters, recipe, old, new):
    """The plain adapter with the module names of another class of the same family: PEFT would apply
    nothing of it, here it is the same adapter."""
    folder = adapters / "renamed"
    shutil.copytree(adapters / "plain", folder)
    made = {**recipe, "tensors": [[row[0].replace(old, new), *row[1:], None, recipe["seed"], row[0]]
                                  for row in recipe["tensors"]]}
    path = folder / "adapter_model.safetensors"
    write_made(path, made)
    return path, made


class Adapted:
    """A model with the adapters of a run, as PEFT applies them."""

    def __init__(self, model_folder, case):
        self.model = load(model_folder)
        self.wrapped = None
        self.case = case

    def wear(self, adapters):
        # Not the names of the kinds: PEFT 0.21 leaves biases of lora_B as they were made, at random, in an
        # adapter of Qwen3.5 that is called "bias".
        called = [(f"of_{name}", name, scale) for name, scale in adapters]
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # missing keys, patterns that match nothing
            for ignored in ("Unsupported layer type", ".*[Tt]ied.*", ".*tie_word.*", ".*bias.*", ".*target_parameters.*",
                            ".*DoRA.*", ".*layer.*weights.*", ".*save_embedding_layers.*", ".*did not match.*"):
                warnings.filterwarnings("ignore", message=ignored)
            for name, kind, _ in called:
                folder = self.case / "adapters" / kind
                if self.wrapped is None:
                    self.wrapped = PeftModel.from_pretrained(self.model, folder, adapter_name=name)
                else:
                    self.wrapped.load_adapter(folder, adapter_name=name)
        self.wrapped.base_model.set_adapter([name for name, _, _ in called])
        for module in self.wrapped.modules():
            if isinstance(module, LoraLayer):
                for name, _, scale in called:
                    if name in module.scaling:
                        module.set_scale(name, scale)
        self.model = self.wrapped.base_model.model.eval()
        return self


def logits_of(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0].float()


def greedy(model, ids, eos):
    """(ids, finish_reason, smallest lead) by the model's own generate."""
    config = transformers.GenerationConfig(do_sample=False, max_new_tokens=TOKENS, eos_token_id=eos,
                                           pad_token_id=EOS, return_dict_in_generate=True, output_logits=True)
    with torch.no_grad():
        done = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                              generation_config=config)
    new = done.sequences[0, len(ids):].tolist()
    leads = [float(top[0] - top[1]) for top in (row[0].float().topk(2).values for row in done.logits)]
    return new, "stop" if new[-1] in eos else "length", min(leads)


PROMPTS = [text for text in TEXTS if 3 <= len(text) <= 200]


def best_prompt(model, tokenizer, eos, first, tries):
    """The prompt whose continuation has the best smallest lead, of a few from number `first` on."""
    best = None
    for step in range(tries):
        text = PROMPTS[(first + step) % len(PROMPTS)]
        ids = tokenizer.encode(text).ids
        if len(ids) < 4:
            continue
        found = (*greedy(model, ids, eos), text, ids)
        if len(set(found[0])) > 2 - (tries == 1) and (best is None or found[2] > best[2]):
            best = found
        if best and best[2] > 3 * MARGIN and step >= 2:
            break
    return best


def make_run(name, adapters, model, tokenizer, eos, first, tries=24):
    new, reason, lead, text, ids = best_prompt(model, tokenizer, eos, first, tries)
    if lead < MARGIN:
        sys.exit(f"{name}: no prompt with a healthy margin ({lead:.3f})")
    rows = logits_of(model, ids + new)
    chosen = sorted({len(ids), len(ids) + len(new)} | ({max(1, len(ids) // 2)} if name == "base" else set()))
    wanted = []
    for length in chosen:
        row = rows[length - 1]
        tokens = sorted({*row.topk(3).indices.tolist(), *(-row).topk(1).indices.tolist(), *range(2, len(row), 96)})
        wanted.append({"length": length, "ids": tokens, "values": [round(float(row[token]), 4) for token in tokens]})
    return {"name": name, "adapters": [list(one) for one in adapters], "prompt": text, "ids": ids,
            "logits": wanted, "greedy": {"ids": new, "finish_reason": reason, "margin": round(lead, 3)}}


def stopping_token(model, tokenizer):
    """(token, prompt): what the base says late in its answer to that prompt for the first time. It becomes
    a second end-of-text token."""
    best = (0.0, EOS, PROMPTS[0])
    for text in PROMPTS[:12]:
        new, _, lead = greedy(model, tokenizer.encode(text).ids, [EOS])
        late = next((at for at in range(4, len(new)) if new[at] not in new[:at]), None)
        if late is not None and lead > best[0]:
            best = (lead, new[late], text)
    return best[1:]


def mutation_list(spec, case, model_folder, tokenizer, run, recipes):
    """One weight and one config value changed, with what that does to the run."""
    tensor = next(entry[0] for recipe in recipes.values() for entry in recipe["tensors"]
                  if len(entry[2]) == 2 and entry[2][0] >= 8 and "1." in entry[0] and "vision" not in entry[0] and "visual" not in entry[0])
    key, value = spec["change"]
    mutations = [{"name": "weight", "tensor": tensor, "index": [3, 1], "add": 8.0},
                 {"name": key.split(".")[-1], "file": "config.json", "set": {key: value}}]
    for mutation in mutations:
        with tempfile.TemporaryDirectory() as scratch:
            other = Path(scratch) / "model"
            shutil.copytree(model_folder, other)
            mutate(other, mutation)
            model = load(other)
            effect = 0.0
            for wanted in run["logits"]:
                row = logits_of(model, (run["ids"] + run["greedy"]["ids"])[: wanted["length"]])[-1]
                effect = max(effect, max(abs(float(row[token]) - right)
                                         for token, right in zip(wanted["ids"], wanted["values"])))
            mutation["effect"] = round(effect, 5)
            if effect < 10 * TOLERANCE:
                sys.exit(f"{case.name}: the mutated {mutation['name']} does too little ({effect:.2g})")
    return mutations


def write_tokens(path, tokenizer):
    """What the tokenizer makes of the texts; each line is one."""
    lines = []
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        decoded = tokenizer.decode(ids, skip_special_tokens=False)
        skipped = tokenizer.decode(ids, skip_special_tokens=True)
        lines.append({"text": text, "ids": ids, **({"plain": plain} if plain != ids else {}),
                      **({"decoded": decoded} if decoded != text else {}),
                      **({"skipped": skipped} if skipped != text else {})})
    path.write_text(one_a_line(lines) + "\n", encoding="utf-8")


def kinds_of(spec, every):
    return list(dict.fromkeys(spec["kinds"] + (GENERAL if every else [])))


def make_case(name, spec, out, options):
    case = out / name
    shutil.rmtree(case, ignore_errors=True)
    model_folder = case / "model"
    recipes = make_model(model_folder, spec, name)
    tokenizer = write_tokenizer(model_folder, spec["tokenizer"])
    base = load(model_folder)
    layers = text_config(base.config).num_hidden_layers
    stopping, stopped = stopping_token(base, tokenizer)
    eos = sorted({EOS} if options.gguf else {EOS, stopping})
    (model_folder / "generation_config.json").write_text(
        json.dumps({"bos_token_id": BOS, "eos_token_id": eos, "do_sample": False}) + "\n", encoding="utf-8")

    content = {"format": 1, "family": base.config.model_type, "model": "model", "dtype": "float32",
               "tolerance": TOLERANCE, "max_tokens": TOKENS, "adapters": {}, "runs": []}
    content["tokens"] = "tokens.json"
    write_tokens(case / "tokens.json", tokenizer)
    for kind in kinds_of(spec, options.every):
        arguments, dtype = KINDS[kind](spec["linears"], layers)
        if spec.get("exclude"):
            arguments.setdefault("exclude_modules", spec["exclude"])
        path, recipe = make_adapter(model_folder, case / "adapters" / kind, arguments, dtype, name, recipes)
        recipes[path] = recipe
        content["adapters"][kind] = f"adapters/{kind}"

    if spec.get("renamed"):
        path, recipe = rename_adapter(case / "adapters", recipes[case / "adapters/plain/adapter_model.safetensors"],
                                      *spec["renamed"])
        recipes[path] = recipe

    content["runs"].append(make_run("base", [], base, tokenizer, eos, 0))
    content["runs"].append(make_run("stops", [], base, tokenizer, eos, PROMPTS.index(stopped), 1))
    wanted = [[(kind, 1.0)] for kind in content["adapters"]]
    wanted += [stack for stack in STACKS if all(kind in content["adapters"] for kind, _ in stack)]
    for number, adapters in enumerate(wanted):
        label = "+".join(kind if scale == 1.0 else f"{kind}*{scale}" for kind, scale in adapters)
        model = Adapted(model_folder, case).wear(adapters).model
        run = make_run(label, adapters, model, tokenizer, eos, 3 * number)
        same = logits_of(base, run["ids"])[-1] - logits_of(model, run["ids"])[-1]
        if float(same.abs().max()) < 50 * TOLERANCE:
            sys.exit(f"{name}: {label} changes nothing")
        content["runs"].append(run)
    if spec.get("renamed"):
        content["adapters"]["renamed"] = "adapters/renamed"
        run = next(run for run in content["runs"] if run["name"] == "plain")
        content["runs"].append({**run, "name": "renamed", "adapters": [["renamed", 1.0]]})
    content["mutations"] = mutation_list(spec, case, model_folder, tokenizer, content["runs"][0], recipes)
    content["refusals"] = [{"name": next(iter(values)), "file": "config.json", "set": values, "code": code,
                            "says": words, "ids": "5,6,7,8,9"} for values, code, words in REFUSALS.get(name, [])]
    content["versions"] = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__,
                           "tokenizers": __import__("tokenizers").__version__, "peft": __import__("peft").__version__}
    finish(case, content, recipes, spec, options)
    return content


def finish(case, content, recipes, spec, options):
    if options.gguf:
        from parity_gguf import convert
        convert(options.gguf, spec["tokenizer"], case / "model", case / "model.gguf")
        shutil.rmtree(case / "model")
        # The file has one end-of-text token, types of its own and llama.cpp's tokenizer.
        content.update(model="model.gguf", dtype=None, mutations=[], refusals=[])
        content.pop("tokens")
    elif not options.stored:
        for path, recipe in recipes.items():
            path.unlink()
            write_recipe(path.with_name(path.name + ".recipe"), recipe)
        for file in ("model/tokenizer.json", "model/tokenizer_config.json", "tokens.json"):
            shared = case.parent / "tokenizers" / spec["tokenizer"] / Path(file).name
            shared.parent.mkdir(parents=True, exist_ok=True)
            (case / file).replace(shared)
            content.setdefault("files", {})[file] = f"../tokenizers/{spec['tokenizer']}/{shared.name}"
    lines = [f"{json.dumps(key)}: {one_a_line(value)}" for key, value in content.items()]
    (case / "case.json").write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")
    if not options.gguf and not options.stored:
        check_expansion(case, content, recipes)


def one_a_line(value):
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in value) + "]"
    return json.dumps(value)


def check_expansion(case, content, recipes):
    """What the recipes say is what was computed with: `load` would fail or differ otherwise."""
    with tempfile.TemporaryDirectory() as scratch:
        target = copy(case, Path(scratch) / "case", content)
        model = load(target / "model")
        run = content["runs"][0]
        row = logits_of(model, run["ids"])[-1]
        wanted = next(one for one in run["logits"] if one["length"] == len(run["ids"]))
        for token, value in zip(wanted["ids"], wanted["values"]):
            assert abs(float(row[token]) - value) < 1e-4, (case.name, token)


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=CASES)
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--stored", action="store_true")
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("out", type=Path, metavar="DIR")
    options = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    for name, spec in CASES.items():
        if options.only and name not in options.only:
            continue
        content = make_case(name, spec, options.out, options)
        print(f"{name:16} {len(content['runs']):3} runs, smallest margin "
              f"{min(run['greedy']['margin'] for run in content['runs']):.2f}, mutated "
              + ", ".join(f"{one['effect']:.2g}" for one in content["mutations"])
              + f", {size_of(options.out / name)} bytes", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
