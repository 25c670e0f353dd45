#!/usr/bin/env python3
"""Make tests/parity/fixtures: small random models, PEFT adapters and what they must compute.

For each architecture: a random model (transformers), a random adapter (PEFT), the model with the
adapter merged into it (PEFT's merge_and_unload), and both models as f32 GGUF files written by
llama.cpp's own converter. `reference.json` beside them holds a prompt and the last position's
logits as transformers computes them (float32, eager attention). A base GGUF plus the adapter must
then give what the merged GGUF gives.

    pip install -r scripts/requirements-parity.txt
    LLAMA_CPP_DIR=path/to/llama.cpp python scripts/make_parity_models.py [--only ARCH]...

one-layer/combined holds what PEFT makes of two of that model's adapters with add_weighted_adapter
("cat": one adapter of the ranks of both), and what it computes with it. `--only combined` makes it
alone, from the base.gguf and the adapters that are there; it needs no llama.cpp.

LLAMA_CPP_DIR (or --llama-cpp) is a llama.cpp source tree with its conversion/ folder, the same
release that llama-cpp-python carries. The script runs both GGUF files through llama.cpp (f32 KV
cache, flash attention off), compares with transformers, prints the differences and fails when
they are not noise: a fixture that is wrong never gets written silently.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

# Threads that wait asleep: the models are tiny and the machine is shared.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

HERE = Path(__file__).resolve().parent
DEFAULT_OUT = HERE.parent / "tests" / "parity" / "fixtures"
VOCAB = 288
EOS = 282  # of the byte-level vocabulary; the SentencePiece-like one has it at 2
PROMPT_LENGTH = 24
# transformers against llama.cpp in f32; a random model's logits are of the order of 1 to 10. On the
# CPU llama.cpp's gelu goes through a table of half floats, which is most of what its users show.
TOLERANCE = {"gemma2": 1e-2, "gemma3": 1e-2, "gpt2": 1e-2}
TOLERANCE_OTHERS = 1e-4

LLAMA_LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
COMMON = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-2,
    "bos_token_id": 280,
    "eos_token_id": EOS,
    "pad_token_id": None,
    "tie_word_embeddings": False,
}
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}

# What varies over the architectures is spread so that each feature of an adapter is in at least
# one: storage dtype, rslora, rank_pattern, alpha_pattern (by suffix, by path, by expression),
# target_modules as an expression, layers_to_transform, the output matrix as a target.
SPECS = {
    "llama": {
        "config": lambda: transformers.LlamaConfig(
            **{**COMMON, "tie_word_embeddings": True},
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0}),
        "lora": {"r": 8, "lora_alpha": 16, "target_modules": LLAMA_LINEARS},
        "storage": "f32",
        "vocab": "bpe",
    },
    "mistral": {
        # llama.cpp ignores Mistral's sliding window, so the model has none.
        "config": lambda: transformers.MistralConfig(**COMMON, sliding_window=None, head_dim=8),
        "lora": {"r": 4, "lora_alpha": 8, "target_modules": LLAMA_LINEARS + ["lm_head"],
                 "use_rslora": True},
        "storage": "f16",
        "vocab": "spm",
    },
    "qwen2": {
        "config": lambda: transformers.Qwen2Config(
            **{**COMMON, "tie_word_embeddings": True}, use_sliding_window=False),
        "lora": {"r": 4, "lora_alpha": 8, "target_modules": LLAMA_LINEARS,
                 "rank_pattern": {"q_proj": 8, "model.layers.1.mlp.down_proj": 2}},
        "storage": "bf16",
        "vocab": "bpe",
    },
    "qwen3": {
        "config": lambda: transformers.Qwen3Config(
            **{**COMMON, "tie_word_embeddings": True}, head_dim=16),
        "lora": {"r": 8, "lora_alpha": 4, "target_modules": LLAMA_LINEARS, "use_rslora": True,
                 "alpha_pattern": {"v_proj": 16, r"layers\.0\..*gate_proj": 1}},
        "storage": "f32",
        "vocab": "bpe",
    },
    "gemma2": {
        "config": lambda: transformers.Gemma2Config(
            **{**COMMON, "num_hidden_layers": 4, "intermediate_size": 32,
               "tie_word_embeddings": True},
            head_dim=8, query_pre_attn_scalar=8, sliding_window=8,
            attn_logit_softcapping=5.0, final_logit_softcapping=10.0),
        "lora": {"r": 4, "lora_alpha": 8,
                 "target_modules": r".*\.(q|k|v|o|gate|up|down)_proj"},
        "storage": "bf16",
        "vocab": "spm",
    },
    "gemma3": {
        "config": lambda: transformers.Gemma3TextConfig(
            **{**COMMON, "num_hidden_layers": 7, "intermediate_size": 24,
               "num_attention_heads": 2, "num_key_value_heads": 1,
               "tie_word_embeddings": True},
            head_dim=8, query_pre_attn_scalar=8, sliding_window=8),
        "lora": {"r": 4, "lora_alpha": 8, "target_modules": LLAMA_LINEARS,
                 "layers_to_transform": [0, 2, 4, 5, 6], "layers_pattern": "layers",
                 "rank_pattern": {"k_proj": 2}, "alpha_pattern": {"k_proj": 6}},
        "storage": "f16",
        "vocab": "bpe",
    },
    "phi3": {
        "config": lambda: transformers.Phi3Config(
            **COMMON, sliding_window=None, original_max_position_embeddings=512,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0,
                             "partial_rotary_factor": 0.5}),
        "lora": {"r": 8, "lora_alpha": 8,
                 "target_modules": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"],
                 "alpha_pattern": {"qkv_proj": 16}},
        "storage": "f32",
        "vocab": "spm",
    },
    "smollm3": {
        "config": lambda: transformers.SmolLM3Config(
            **{**COMMON, "num_hidden_layers": 4, "intermediate_size": 32,
               "tie_word_embeddings": True},
            no_rope_layer_interval=4, use_sliding_window=False),
        "lora": {"r": 4, "lora_alpha": 4, "target_modules": LLAMA_LINEARS, "use_rslora": True,
                 "rank_pattern": {"model.layers.3.self_attn.q_proj": 6}},
        "storage": "bf16",
        "vocab": "bpe",
    },
    "gpt2": {
        "config": lambda: transformers.GPT2Config(
            vocab_size=VOCAB, n_positions=64, n_ctx=64, n_embd=32, n_layer=2, n_head=4,
            layer_norm_epsilon=1e-2, bos_token_id=280, eos_token_id=EOS),
        "lora": {"r": 4, "lora_alpha": 8, "target_modules": ["c_attn", "c_proj", "c_fc"],
                 "fan_in_fan_out": True, "rank_pattern": {"attn.c_proj": 2}},
        "storage": "f32",
        "vocab": "bpe",
    },
}

# The model of the stress tests: one layer, a vocabulary that can tokenize any text.
ONE_LAYER = {**COMMON, "num_hidden_layers": 1, "intermediate_size": 64,
             "max_position_embeddings": 8192}
ONE_LAYER_ADAPTERS = [
    {"r": 2, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]},
    {"r": 4, "lora_alpha": 8, "target_modules": LLAMA_LINEARS},
    {"r": 2, "lora_alpha": 8, "target_modules": ["gate_proj", "up_proj", "down_proj"]},
    {"r": 8, "lora_alpha": 8, "target_modules": ["v_proj", "o_proj"], "use_rslora": True},
]
GREEDY_TOKENS = 16
COMBINED = [["adapter-1", 0.5], ["adapter-3", 1.5]]
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


# ---- vocabularies ---------------------------------------------------------------------------

MERGES = ["Ġ t", "h e", "i n", "Ġ a", "r e", "o n", "Ġt he", "e r", "Ġ s", "a t", "Ġ w", "o u",
          "n d", "i s", "Ġ o", "e s", "o r", "i t", "Ġ c", "e n", "Ġ f", "Ġ b", "in g", "Ġ p"]
BPE_SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_characters():
    """The printable stand-in of every byte, in byte order, as byte-level BPE defines it."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return [chr(byte) if byte in kept else chr(next(spare)) for byte in range(256)]


def bpe_vocabulary():
    tokens = byte_characters() + [merge.replace(" ", "") for merge in MERGES] + BPE_SPECIALS
    types = [1] * (len(tokens) - len(BPE_SPECIALS)) + [3] * len(BPE_SPECIALS)
    while len(tokens) < VOCAB:
        tokens.append(f"[PAD{len(tokens)}]")
        types.append(5)
    return tokens, types


def spm_vocabulary():
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    types = [2, 3, 3] + [6] * 256
    scores = [0.0] * len(tokens)
    pieces = ["▁", "e", "t", "a", "o", "h", "n", "s", "he", "▁t", "▁the", "in", "▁a", "an", "on",
              "er", "re", "es"]
    tokens += pieces
    types += [1] * len(pieces)
    scores += [-float(rank) for rank in range(len(pieces))]
    # llama.cpp looks this one up in a vocabulary whose model is called phi3.
    tokens.append("<|endoftext|>")
    types.append(3)
    scores.append(0.0)
    while len(tokens) < VOCAB:
        tokens.append(f"[PAD{len(tokens)}]")
        types.append(5)
        scores.append(-10000.0)
    return tokens, types, scores


def write_vocabulary(kind):
    """A set_vocab for a converter class: its own would want a published tokenizer's hash."""

    def set_vocab(self):
        writer = self.gguf_writer
        if kind == "bpe":
            tokens, types = bpe_vocabulary()
            writer.add_tokenizer_model("gpt2")
            writer.add_tokenizer_pre("gpt-2")
            writer.add_token_list(tokens)
            writer.add_token_types(types)
            writer.add_token_merges(MERGES)
            writer.add_bos_token_id(280)
            writer.add_eos_token_id(EOS)
            writer.add_add_bos_token(False)
            writer.add_chat_template(CHAT_TEMPLATE)
        else:
            tokens, types, scores = spm_vocabulary()
            writer.add_tokenizer_model("llama")
            writer.add_tokenizer_pre("default")
            writer.add_token_list(tokens)
            writer.add_token_scores(scores)
            writer.add_token_types(types)
            writer.add_bos_token_id(1)
            writer.add_eos_token_id(2)
            writer.add_unk_token_id(0)
            writer.add_add_bos_token(True)

    return set_vocab


# ---- models ---------------------------------------------------------------------------------

def random_model(config, seed):
    """A model whose every parameter, biases and norms too, is random and matters."""
    torch.manual_seed(seed)
    config.dtype = torch.float32
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    model = model.float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                centre = 1.0 if is_scale(name) and not is_gemma(config) else 0.0
                parameter.copy_(centre + 0.2 * torch.randn_like(parameter))
            elif "embed" in name or "wte" in name or "wpe" in name:
                parameter.copy_(0.5 * torch.randn_like(parameter))
            else:
                parameter.copy_(0.2 * torch.randn_like(parameter))
    return model


def is_scale(name):
    return name.endswith("norm.weight") or ".ln_" in name and name.endswith(".weight")


def is_gemma(config):
    return config.model_type.startswith("gemma")


def copy_of(model):
    twin = transformers.AutoModelForCausalLM.from_config(model.config,
                                                         attn_implementation="eager")
    twin.float().eval().load_state_dict(model.state_dict())
    return twin


def tidy_adapter(folder, base_name):
    """What save_pretrained leaves that would differ from run to run, or says nothing."""
    for extra in folder.glob("*.md"):
        extra.unlink()
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base_name
    for key in ("target_modules", "exclude_modules"):
        if isinstance(config.get(key), list):
            config[key] = sorted(config[key])
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def make_adapter(model, lora, storage, seed, folder, base_name):
    """A random PEFT adapter in `folder`; returns the base with what was *stored* merged in."""
    torch.manual_seed(seed)
    config = LoraConfig(**lora, lora_dropout=0.0, bias="none", init_lora_weights=False,
                        task_type="CAUSAL_LM")
    wrapped = get_peft_model(copy_of(model), config)
    for name, parameter in wrapped.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.to(DTYPES[storage])
    shutil.rmtree(folder, ignore_errors=True)
    wrapped.save_pretrained(folder, save_embedding_layers=False)
    tidy_adapter(folder, base_name)
    return merged_with(model, folder)


def merged_with(model, folder):
    return PeftModel.from_pretrained(copy_of(model), folder).merge_and_unload().float().eval()


def last_logits(model, tokens):
    with torch.no_grad():
        return model(input_ids=torch.tensor([tokens])).logits[0, -1].float().numpy()


def greedy(model, tokens, count):
    """Greedy continuation, and the smallest distance from the best to the second token."""
    ids, margin = list(tokens), float("inf")
    for _ in range(count):
        best = np.sort(last_logits(model, ids))[::-1]
        margin = min(margin, float((best[0] - best[1]) / best.std()))
        ids.append(int(last_logits(model, ids).argmax()))
    return ids[len(tokens):], margin


# ---- GGUF and llama.cpp ---------------------------------------------------------------------

class Converter:
    """llama.cpp's convert_hf_to_gguf.py, driven in process so that the vocabulary can be ours."""

    def __init__(self, llama_cpp_dir):
        sys.path.insert(0, str(llama_cpp_dir / "gguf-py"))
        sys.path.insert(0, str(llama_cpp_dir))
        import conversion
        import gguf
        self.conversion, self.gguf = conversion, gguf

    def write(self, model, vocabulary, name, target):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / name
            model.save_pretrained(folder)
            # Gemma 3's converter counts the tokens in here; nothing else is read from it.
            tokens = {token: rank for rank, token in enumerate(bpe_vocabulary()[0])}
            (folder / "tokenizer.json").write_text(
                json.dumps({"model": {"vocab": tokens}, "added_tokens": []}), encoding="utf-8")
            self.convert(folder, write_vocabulary(vocabulary), name, target)

    def convert(self, folder, set_vocab, name, target):
        hparams = self.conversion.ModelBase.load_hparams(folder, False)
        architecture = self.conversion.get_model_architecture(hparams, self.conversion.ModelType.TEXT)
        base = self.conversion.get_model_class(architecture)
        # Qwen3.5's converter would want the block that only drafts, which transformers leaves out.
        ours = type(base.__name__, (base,), {"set_vocab": set_vocab, "model_arch": base.model_arch, "no_mtp": True})
        target.parent.mkdir(parents=True, exist_ok=True)
        with torch.inference_mode():
            ours(folder, self.gguf.LlamaFileType.ALL_F32, target, model_name=name, eager=True).write()


def llama_cpp_greedy(path, tokens, count):
    """Greedy continuation as llama.cpp gives it by default, with its f16 KV cache."""
    import llama_cpp
    llama = llama_cpp.Llama(str(path), n_ctx=64, logits_all=True, n_threads=2, verbose=False)
    ids = list(tokens)
    llama.eval(ids)
    for _ in range(count):
        ids.append(int(np.argmax(llama.scores[len(ids) - 1])))
        llama.eval(ids[-1:])
    llama.close()
    return ids[len(tokens):]


def llama_cpp_logits(path, tokens):
    """The last position's logits by llama.cpp, everything in f32."""
    import llama_cpp
    llama = llama_cpp.Llama(str(path), n_ctx=64, n_batch=64, n_ubatch=64, logits_all=True,
                            type_k=0, type_v=0, flash_attn=False, n_threads=2, verbose=False)
    llama.eval(tokens)
    logits = np.array(llama.scores[len(tokens) - 1], dtype=np.float32)
    llama.close()
    return logits


# ---- fixtures -------------------------------------------------------------------------------

def versions():
    import llama_cpp
    return {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__,
            "peft": peft.__version__, "llama_cpp_python": llama_cpp.__version__}


def rounded(logits):
    return [round(float(value), 6) for value in logits]


def write_reference(folder, content):
    text = json.dumps(content, separators=(", ", ": "))
    text = text.replace(', "', ',\n"')
    (folder / "reference.json").write_text(text + "\n", encoding="utf-8")


def difference(left, right):
    return float(np.abs(left - right).max())


def make_architecture(arch, spec, seed, out, converter):
    folder = out / arch
    folder.mkdir(parents=True, exist_ok=True)
    model = random_model(spec["config"](), seed)
    name = f"tiny-random-{arch}"
    merged = make_adapter(model, spec["lora"], spec["storage"], seed + 1000, folder / "adapter",
                          name)
    converter.write(model, spec["vocab"], name, folder / "base.gguf")
    converter.write(merged, spec["vocab"], name + "-merged", folder / "merged.gguf")
    numbers = np.random.default_rng(seed)
    tokens = [int(token) for token in numbers.integers(3, 270, PROMPT_LENGTH)]
    base_logits, merged_logits = last_logits(model, tokens), last_logits(merged, tokens)
    found = {
        "base": difference(base_logits, llama_cpp_logits(folder / "base.gguf", tokens)),
        "merged": difference(merged_logits, llama_cpp_logits(folder / "merged.gguf", tokens)),
        "effect": difference(base_logits, merged_logits),
    }
    content = {"architecture": arch, "tokens": tokens, "base_logits": rounded(base_logits),
               "merged_logits": rounded(merged_logits)}
    if arch == "llama":
        found["mutated"] = make_mutated(model, merged_logits, tokens, folder, content)
    content["adapter_storage"] = spec["storage"]
    content["versions"] = versions()
    write_reference(folder, content)
    return found


def make_mutated(model, merged_logits, tokens, folder, content):
    """The same adapter with one weight changed: what a parity check must notice."""
    target = folder / "adapter-mutated"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder / "adapter", target)
    path = target / "adapter_model.safetensors"
    tensors = load_file(path)
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"
    tensors[name][3, 1] += 1.0
    save_file(tensors, path, metadata={"format": "pt"})
    effect = difference(last_logits(merged_with(model, target), tokens), merged_logits)
    content["mutated"] = {"tensor": name, "index": [3, 1], "added": 1.0,
                          "max_logit_difference": round(effect, 6)}
    return effect


def make_one_layer(out, converter):
    """The stress model, with a seed at which no greedy choice is near a tie."""
    folder = out / "one-layer"
    folder.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(7)
    tokens = [int(token) for token in numbers.integers(32, 120, 8)]
    for seed in range(500, 700):
        torch.manual_seed(seed)
        model = random_model(transformers.LlamaConfig(**ONE_LAYER), seed)
        texts, margins = {}, []
        models = {"base": model}
        for number, lora in enumerate(ONE_LAYER_ADAPTERS):
            key = f"adapter-{number}"
            models[key] = make_adapter(model, lora, "bf16", seed * 10 + number, folder / key,
                                       "tiny-random-one-layer")
        for key, one in models.items():
            texts[key], margin = greedy(one, tokens, GREEDY_TOKENS)
            margins.append(margin)
        different = len({tuple(ids) for ids in texts.values()}) == len(texts)
        if min(margins) > 0.02 and different and all(EOS not in ids for ids in texts.values()):
            break
    else:
        sys.exit("one-layer: no seed without near ties")
    converter.write(model, "bpe", "tiny-random-one-layer", folder / "base.gguf")
    found = {"base": difference(last_logits(model, tokens),
                                llama_cpp_logits(folder / "base.gguf", tokens)),
             "margin": min(margins)}
    if llama_cpp_greedy(folder / "base.gguf", tokens, GREEDY_TOKENS) != texts["base"]:
        sys.exit("one-layer: llama.cpp with its default cache continues otherwise")
    write_reference(folder, {"architecture": "llama", "tokens": tokens, "greedy": texts,
                             "smallest_margin_in_standard_deviations": round(min(margins), 4),
                             "base_logits": rounded(last_logits(model, tokens)),
                             "versions": versions()})
    return found


def make_combined(out):
    """Two adapters of the stress model as PEFT combines them, and what that computes."""
    folder = out / "one-layer"
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, gguf_file="base.gguf", dtype=torch.float32, attn_implementation="eager").eval()
    wrapped = PeftModel.from_pretrained(model, folder / COMBINED[0][0], adapter_name=COMBINED[0][0])
    for name, _ in COMBINED[1:]:
        wrapped.load_adapter(folder / name, adapter_name=name)
    tokens = json.loads((folder / "reference.json").read_text(encoding="utf-8"))["tokens"]
    wrapped.add_weighted_adapter([name for name, _ in COMBINED], [scale for _, scale in COMBINED],
                                 "combined", combination_type="cat")
    wrapped.set_adapter("combined")
    logits = last_logits(wrapped, tokens)
    texts, margin = greedy(wrapped, tokens, GREEDY_TOKENS)
    shutil.rmtree(folder / "combined", ignore_errors=True)
    wrapped.save_pretrained(folder, selected_adapters=["combined"], save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    tidy_adapter(folder / "combined", "tiny-random-one-layer")
    write_reference(folder / "combined", {
        "adapters": COMBINED, "tokens": tokens, "logits": rounded(logits), "greedy": texts,
        "smallest_margin_in_standard_deviations": round(margin, 4),
        "versions": {"torch": torch.__version__.split("+")[0],
                     "transformers": transformers.__version__, "peft": peft.__version__}})
    return margin


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llama-cpp", type=Path, default=os.environ.get("LLAMA_CPP_DIR"),
                        help="llama.cpp source tree (default: $LLAMA_CPP_DIR)")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    parser.add_argument("--only", action="append", choices=[*SPECS, "one-layer", "combined"])
    args = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(2)
    if args.only == ["combined"]:
        print(f"combined   margin {make_combined(args.out):.3f}")
        return 0
    if not args.llama_cpp or not (Path(args.llama_cpp) / "conversion").is_dir():
        sys.exit("set LLAMA_CPP_DIR (or --llama-cpp) to a llama.cpp tree with conversion/ in it")
    converter = Converter(Path(args.llama_cpp).resolve())
    failed = []
    print(f"{'':10} {'base':>9} {'merged':>9} {'effect':>8}  bytes   (max |delta logit|)")
    for index, (arch, spec) in enumerate(SPECS.items()):
        if args.only and arch not in args.only:
            continue
        found = make_architecture(arch, spec, 100 + index, args.out, converter)
        print(f"{arch:10} {found['base']:9.1e} {found['merged']:9.1e} {found['effect']:8.2f}  "
              f"{size_of(args.out / arch)}"
              + (f"  mutated {found['mutated']:.2f}" if "mutated" in found else ""), flush=True)
        limit = TOLERANCE.get(arch, TOLERANCE_OTHERS)
        if max(found["base"], found["merged"]) > limit or found["effect"] < 0.1:
            failed.append(arch)
    if not args.only or "one-layer" in args.only:
        found = make_one_layer(args.out, converter)
        print(f"{'one-layer':10} {found['base']:9.1e} {'':9} {'':8}  "
              f"{size_of(args.out / 'one-layer')}  margin {found['margin']:.3f}")
        if found["base"] > TOLERANCE_OTHERS:
            failed.append("one-layer")
        print(f"combined   margin {make_combined(args.out):.3f}")
    if failed:
        sys.exit(f"llama.cpp and transformers disagree, or the adapter does nothing: {failed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
