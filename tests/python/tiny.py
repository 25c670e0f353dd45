"""A checkpoint small enough to be made by a test: a Llama with random weights, as save_pretrained writes it, and a
PEFT adapter of it."""

import json
import random
from array import array

from inference._adapters import safetensors

HIDDEN, LAYERS, HEADS, KV_HEADS, FEED, VOCAB = 64, 2, 4, 2, 96, 257
HEAD = HIDDEN // HEADS


def matrix(source, *shape, spread=0.2):
    n = 1
    for size in shape:
        n *= size
    values = array("f", [source.uniform(-spread, spread) for _ in range(n)])
    return memoryview(values).cast("B").cast("f", shape)


def byte_letters():
    """The letters that byte-level tokenizers write bytes with."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters, more = {b: chr(b) for b in plain}, 0
    for b in range(256):
        if b not in letters:
            letters[b] = chr(256 + more)
            more += 1
    return letters


def tokenizer():
    vocab = {letter: b for b, letter in byte_letters().items()}
    end = {"id": 256, "content": "<|end|>", "special": True, "single_word": False, "lstrip": False, "rstrip": False,
           "normalized": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [end], "normalizer": None,
            "pre_tokenizer": level, "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                      "vocab": dict(vocab, **{"<|end|>": 256}), "merges": []}}


def write_checkpoint(folder):
    source = random.Random(5)
    weights = {"model.embed_tokens.weight": matrix(source, VOCAB, HIDDEN, spread=1.0),
               "lm_head.weight": matrix(source, VOCAB, HIDDEN, spread=1.0),
               "model.norm.weight": matrix(source, HIDDEN, spread=1.0)}
    for i in range(LAYERS):
        name = "model.layers.%d." % i
        weights.update({
            name + "self_attn.q_proj.weight": matrix(source, HIDDEN, HIDDEN),
            name + "self_attn.k_proj.weight": matrix(source, KV_HEADS * HEAD, HIDDEN),
            name + "self_attn.v_proj.weight": matrix(source, KV_HEADS * HEAD, HIDDEN),
            name + "self_attn.o_proj.weight": matrix(source, HIDDEN, HIDDEN),
            name + "mlp.gate_proj.weight": matrix(source, FEED, HIDDEN),
            name + "mlp.up_proj.weight": matrix(source, FEED, HIDDEN),
            name + "mlp.down_proj.weight": matrix(source, HIDDEN, FEED),
            name + "input_layernorm.weight": matrix(source, HIDDEN, spread=1.0),
            name + "post_attention_layernorm.weight": matrix(source, HIDDEN, spread=1.0),
        })
    (folder / "model.safetensors").write_bytes(safetensors(weights))
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
        "intermediate_size": FEED, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS, "head_dim": HEAD, "vocab_size": VOCAB, "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": False,
        "bos_token_id": None, "eos_token_id": 256, "torch_dtype": "float32"}))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(), ensure_ascii=False), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>", "clean_up_tokenization_spaces": False,
        "chat_template": "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"}))


def adapter():
    source = random.Random(9)
    weights = {}
    for i in range(LAYERS):
        name = "base_model.model.model.layers.%d.self_attn.q_proj.lora_" % i
        weights[name + "A.weight"] = matrix(source, 4, HIDDEN, spread=1.0)
        weights[name + "B.weight"] = matrix(source, HIDDEN, 4, spread=1.0)
    return weights, {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}


def write_adapter(folder):
    weights, config = adapter()
    (folder / "adapter_model.safetensors").write_bytes(safetensors(weights))
    (folder / "adapter_config.json").write_text(json.dumps(config))
