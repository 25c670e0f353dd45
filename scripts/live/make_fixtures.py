#!/usr/bin/env python3
"""Write what the live tests serve: the small real model as a checkpoint folder, and adapters for it.

    make_fixtures.py GGUF OUT REPOSITORY

OUT/model holds the checkpoint (bfloat16, with the tokenizer and its chat template). OUT/adapters:
    r0 .. r7    eight different random adapters, rank 4 to 16
    rank64      rank 64, beyond the server's limit
    nan         one weight is NaN
    nomatch     sound, but none of its modules is in the model
    shape       made for a model of another width
    dora        uses DoRA
    pirate, json   the repository's own, copied
The seeds are fixed. Everything is written beside OUT and renamed when it is complete.
"""

import json
import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
STRENGTH = 0.7


def write_model(gguf, out):
    folder, name = os.path.split(gguf)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=name,
                                                              dtype=torch.float32)
    model = model.to(torch.bfloat16)
    # The weights are dequantized; what says otherwise would make every reader look for a quantizer.
    for owner in (model, model.config):
        for attribute in ("hf_quantizer", "quantization_config", "is_quantized"):
            if hasattr(owner, attribute):
                try:
                    delattr(owner, attribute)
                except AttributeError:
                    setattr(owner, attribute, None)
    model.config.dtype = torch.bfloat16
    if not tokenizer.chat_template:
        sys.exit("the GGUF file has no chat template")
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


def fresh_model(checkpoint):
    return transformers.AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)


def write_adapter(model, out, seed, rank, targets, **more):
    torch.manual_seed(seed)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets,
                        init_lora_weights=False, task_type="CAUSAL_LM", **more)
    peft = get_peft_model(model, config)
    peft.peft_config["default"].base_model_name_or_path = "HuggingFaceTB/SmolLM2-135M-Instruct"
    # As large as peft makes them they drown the model; so much that it still speaks.
    with torch.no_grad():
        for name, weight in peft.named_parameters():
            if "lora_B" in name:
                weight.mul_(STRENGTH)
    peft.save_pretrained(out)
    peft.unload()


def rewrite(source, out, change):
    shutil.copytree(source, out)
    weights = out / "adapter_model.safetensors"
    save_file(change(load_file(weights)), weights, metadata={"format": "pt"})


def with_nan(tensors):
    name = sorted(n for n in tensors if "lora_B" in n)[0]
    tensors[name] = tensors[name].clone()
    tensors[name][0, 0] = float("nan")
    return tensors


def of_no_module(tensors):
    return {name.replace("self_attn", "other_attn"): t for name, t in tensors.items()}


def of_another_width(tensors):
    return {name: t[:, :-64].contiguous() if "lora_A" in name else t for name, t in tensors.items()}


def write_adapters(checkpoint, out, repository):
    for i in range(8):
        write_adapter(fresh_model(checkpoint), out / f"r{i}", 100 + i, (4, 8, 16, 8)[i % 4], LINEAR)
    write_adapter(fresh_model(checkpoint), out / "rank64", 200, 64, ["q_proj"])
    write_adapter(fresh_model(checkpoint), out / "dora", 201, 4, ["q_proj"], use_dora=True)
    rewrite(out / "r0", out / "nan", with_nan)
    rewrite(out / "r0", out / "nomatch", of_no_module)
    rewrite(out / "r0", out / "shape", of_another_width)
    for name in ("pirate", "json"):
        shutil.copytree(Path(repository) / "adapters" / name, out / name)
    for config in out.glob("*/adapter_config.json"):
        json.loads(config.read_text())


def main():
    gguf, out, repository = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    work = out.with_name(out.name + ".tmp")
    shutil.rmtree(work, ignore_errors=True)
    write_model(gguf, work / "model")
    write_adapters(work / "model", work / "adapters", repository)
    shutil.rmtree(out, ignore_errors=True)
    os.rename(work, out)


if __name__ == "__main__":
    main()
