#!/bin/sh
# Surprise: LoRA on both ends of a tied GPT-2, kept tied by ensure_weight_tying, trains and is saved in full, but
# loading it again leaves the output layer without its half.
#
# ensure_weight_tying=True with target_modules of the embedding and lm_head gives both one pair of matrices, which
# save_pretrained writes under both names. One expects from_pretrained to give back what was saved, as it does for a
# Llama ("embed_tokens"). For a GPT-2 ("wte") the saved config's target_modules have the embedding alone, and the
# reloaded model has LoRA there alone: its logits are those of another model, and the two tensors of lm_head in the
# file go nowhere. No missing or unexpected key is reported; a warning says that no tied modules were added, not that
# anything trained was left out.
#
# Installs the pinned packages into a temporary folder (some GB); fails when the behaviour is another.
set -eu

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 transformers==5.23.0 peft==0.21.2

"$dir/venv/bin/python" - <<'PYTHON'
import tempfile
import warnings

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import safe_open

transformers.logging.set_verbosity_error()


def gpt2():
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(
        n_layer=1, n_head=2, n_embd=16, vocab_size=50, n_positions=32))


def llama():
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(
        num_hidden_layers=1, num_attention_heads=2, hidden_size=16, intermediate_size=32, vocab_size=50,
        tie_word_embeddings=True))


def fresh(make):
    torch.manual_seed(0)
    return make().eval()


@torch.no_grad()
def train(make, embedding):
    config = LoraConfig(r=4, lora_alpha=8, target_modules=[embedding, "lm_head"], ensure_weight_tying=True)
    model = get_peft_model(fresh(make), config).eval()
    torch.manual_seed(1)
    for name, p in model.named_parameters():
        if "lora_" in name:
            p.copy_(torch.randn(p.shape) * 0.5)
    return model


@torch.no_grad()
def reload(make, embedding):
    ids = torch.arange(1, 9)[None]
    model = train(make, embedding)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        with safe_open(folder + "/adapter_model.safetensors", "pt") as file:
            saved = sum("lm_head.lora_" in name for name in file.keys())
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            again = PeftModel.from_pretrained(fresh(make), folder).eval()
    keys = [w for w in said if "adapter keys" in str(w.message)]
    loaded = sum("lm_head.lora_" in name for name, _ in again.named_parameters())
    targets = sorted(again.peft_config["default"].target_modules)
    apart = (again(ids).logits - model(ids).logits).abs().max().item()
    print(f"{make.__name__}: saved target_modules {targets}; tensors of lm_head saved {saved}, loaded {loaded}; "
          f"warnings of keys {len(keys)}; "
          f"logits apart {apart:.3g}, trained and base {(model(ids).logits - fresh(make)(ids).logits).abs().max():.3g}")
    return "lm_head" in targets, saved, loaded, len(keys), apart


warnings.simplefilter("ignore")
print("torch", torch.__version__, "transformers", transformers.__version__, "peft", peft.__version__)
assert reload(llama, "embed_tokens")[1:] == (2, 2, 0, 0.0), "the behaviour has changed"
*of_gpt2, apart = reload(gpt2, "wte")
assert of_gpt2 == [False, 2, 0, 0] and apart > 1, "the behaviour has changed"
PYTHON
