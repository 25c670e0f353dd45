#!/usr/bin/env python3
"""Make tests/fixtures/peft: PEFT directories with one defect each, and a few sound ones.

All are for tests/parity/fixtures/llama/base.gguf. MANIFEST.json says of each what loading it must
answer: ok, io, format, unsupported, mismatch or not_finite, and why; "needs_base" marks those that
can only be told with the model at hand. Standard library only: the files
are written byte by byte, since no library writes broken ones.

    python scripts/make_broken_adapters.py [--out tests/fixtures/peft]
"""

import argparse
import json
import random
import shutil
import struct
from pathlib import Path

OUT = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "peft"

# The base model: hidden size 32, 4 heads and 2 key/value heads of 8, 48 in the middle, 2 layers.
LAYERS, RANK = 2, 2
SHAPES = {  # module: (out, in)
    "self_attn.q_proj": (32, 32),
    "self_attn.k_proj": (16, 32),
    "self_attn.v_proj": (16, 32),
    "mlp.down_proj": (32, 48),
}
ELEMENT = {"F64": ("d", 8), "F32": ("f", 4), "F16": ("e", 2), "BF16": ("H", 2), "I32": ("i", 4)}
FIRST = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
FIRST_B = FIRST.replace("lora_A", "lora_B")

NEEDS_BASE = {"layer-out-of-range", "matches-nothing", "unknown-module", "wrong-shape-a",
              "wrong-shape-b", "saved-shape", "saved-head-shape", "saved-linear-shape", "saved-linear-some",
              "saved-nothing", "saved-unknown", "bias-of-none",
              "tokens-outside", "tokens-width", "tokens-twice", "embedding-shape", "experts-of-none"}


def config(**changes):
    """A plain adapter_config.json; a change to None removes the key."""
    content = {
        "alpha_pattern": {}, "base_model_name_or_path": "tiny-random-llama", "bias": "none",
        "fan_in_fan_out": False, "inference_mode": True, "init_lora_weights": True,
        "layers_to_transform": None, "lora_alpha": 4, "lora_dropout": 0.0,
        "modules_to_save": None, "peft_type": "LORA", "r": RANK, "rank_pattern": {},
        "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM", "use_dora": False,
        "use_rslora": False,
    }
    for key, value in changes.items():
        if value is REMOVED:
            del content[key]
        else:
            content[key] = value
    return content


REMOVED = object()


def numbers(seed, count):
    source = random.Random(seed)
    return [source.uniform(-0.3, 0.3) for _ in range(count)]


def pack(dtype, values):
    if dtype == "BF16":
        return b"".join(struct.pack("<f", value)[2:] for value in values)
    return struct.pack(f"<{len(values)}{ELEMENT[dtype][0]}", *values)


def tensor(name, shape, dtype="F32"):
    count = 1
    for extent in shape:
        count *= extent
    return [name, dtype, list(shape), pack(dtype, numbers(name, count))]


def pair(module, layer, rank=RANK, dtype="F32"):
    out, inner = SHAPES[module]
    prefix = f"base_model.model.model.layers.{layer}.{module}"
    return [tensor(prefix + ".lora_A.weight", (rank, inner), dtype),
            tensor(prefix + ".lora_B.weight", (out, rank), dtype)]


def sound(modules=("self_attn.q_proj", "self_attn.v_proj"), layers=range(LAYERS), **options):
    return [t for layer in layers for module in modules for t in pair(module, layer, **options)]


def safetensors(tensors):
    """The bytes of a file, header entries in order, data without holes."""
    entries, data = [('"__metadata__"', '{"format":"pt"}')], b""
    for name, dtype, shape, raw in tensors:
        span = [len(data), len(data) + len(raw)]
        entries.append((json.dumps(name), json.dumps(
            {"dtype": dtype, "shape": shape, "data_offsets": span})))
        data += raw
    return assemble(entries, data)


def assemble(entries, data):
    header = ("{" + ",".join(f"{key}:{value}" for key, value in entries) + "}").encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data


def header_and_data(raw):
    length = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8:8 + length]), raw[8 + length:]


def with_header(change):
    """A sound file whose parsed header `change` has edited."""
    header, data = header_and_data(safetensors(sound()))
    change(header)
    return assemble([(json.dumps(k), json.dumps(v)) for k, v in header.items()], data)


def with_value(value):
    """One weight, in the middle of a tensor, is `value`."""
    tensors = sound()
    raw = bytearray(tensors[2][3])
    struct.pack_into("<f", raw, 4 * 17, value)
    tensors[2][3] = bytes(raw)
    return safetensors(tensors)


def with_raw(position, dtype, bits):
    """One weight of a 16-bit tensor has these bits."""
    tensors = sound(dtype=dtype)
    raw = bytearray(tensors[position][3])
    struct.pack_into("<H", raw, 2 * 5, bits)
    tensors[position][3] = bytes(raw)
    return safetensors(tensors)


def reshaped(name, shape):
    return safetensors([tensor(name, shape) if t[0] == name else t for t in sound()])


def renamed(old, new):
    return safetensors([[t[0].replace(old, new), *t[1:]] for t in sound()])


def overlap(header):
    second = header[FIRST_B]["data_offsets"]
    header[FIRST_B]["data_offsets"] = [second[0] - 8, second[1] - 8]


def hole(header):
    names = [name for name in header if name != "__metadata__"]
    span = header[names[-1]]["data_offsets"]
    header[names[-1]]["data_offsets"] = [span[0] + 4, span[1] + 4]


def past_end(header):
    names = [name for name in header if name != "__metadata__"]
    span = header[names[-1]]["data_offsets"]
    header[names[-1]]["data_offsets"] = [span[0] + 4096, span[1] + 4096]


def duplicate():
    entries, data = [('"__metadata__"', '{"format":"pt"}')], b""
    tensors = sound()
    for name, dtype, shape, raw in [tensors[0], *tensors]:
        span = [len(data), len(data) + len(raw)]
        entries.append((json.dumps(name), json.dumps(
            {"dtype": dtype, "shape": shape, "data_offsets": span})))
        data += raw
    return assemble(entries, data)


def set_header(name, key, value):
    def change(header):
        header[name][key] = value
    return change


def vectors(suffix, size=None, layers=range(LAYERS), **options):
    """A vector of B's rows for each module of sound()."""
    return [tensor(f"base_model.model.model.layers.{layer}.{module}.{suffix}",
                   (size or SHAPES[module][0],), **options)
            for layer in layers for module in ("self_attn.q_proj", "self_attn.v_proj")]


def rows(count, width=32, module="model.embed_tokens", bad=False):
    made = tensor(f"base_model.model.{module}.token_adapter.trainable_tokens_delta", (count, width))
    return [with_nan(made) if bad else made]


def with_nan(made):
    return [*made[:3], struct.pack("<f", float("nan")) + made[3][4:]]


def down(layers, inputs=48):
    """The weights of down_proj in full."""
    return [tensor(f"base_model.model.model.layers.{layer}.mlp.down_proj.weight", (32, inputs))
            for layer in range(layers)]


def other_kinds():
    """What is no plain LoRA on linear layers."""
    embed = "base_model.model.model.embed_tokens.lora_embedding_"
    norm, head = "base_model.model.model.norm.weight", "base_model.model.lm_head.weight"
    embeds = ["q_proj", "v_proj", "embed_tokens"]
    yield ("ok-dora", "ok", "DoRA", config(use_dora=True),
           safetensors(sound() + vectors("lora_magnitude_vector")))
    yield ("ok-lora-bias", "ok", "lora_bias is true: each B has a bias", config(lora_bias=True),
           safetensors(sound() + vectors("lora_B.bias")))
    yield ("ok-modules-to-save", "ok", "the last norm, trained in full",
           config(modules_to_save=["model.norm"]), safetensors(sound() + [tensor(norm, (32,))]))
    yield ("ok-embedding-lora", "ok", "LoRA on the embedding (lora_embedding_A and _B)",
           config(target_modules=embeds),
           safetensors(sound() + [tensor(embed + "A", (RANK, 288)), tensor(embed + "B", (32, RANK))]))
    yield ("ok-tokens", "ok", "three rows of the embedding, trained in full",
           config(trainable_token_indices=[7, 5, 287]), safetensors(sound() + rows(3)))

    yield ("dora-and-bias", "format", "use_dora and lora_bias, which peft does not do together",
           config(use_dora=True, lora_bias=True), safetensors(sound()))
    yield ("dora-not-said", "mismatch", "magnitude vectors, and use_dora is false", config(),
           safetensors(sound() + vectors("lora_magnitude_vector")))
    yield ("dora-count", "mismatch", "magnitude vectors of 31 numbers", config(use_dora=True),
           safetensors(sound() + vectors("lora_magnitude_vector", 31)))
    yield ("dora-matrix", "unsupported", "magnitude vectors of two dimensions", config(use_dora=True),
           safetensors(sound() + [[t[0], t[1], [*t[2], 1], t[3]] for t in vectors("lora_magnitude_vector")]))
    yield ("dora-nan", "not_finite", "a NaN in a magnitude vector", config(use_dora=True),
           safetensors(sound() + [with_nan(t) for t in vectors("lora_magnitude_vector")]))
    yield ("bias-nan", "not_finite", "a NaN in a bias of B", config(lora_bias=True),
           safetensors(sound() + [with_nan(t) for t in vectors("lora_B.bias")]))
    yield ("saved-shape", "mismatch", "a norm of 31 numbers", config(modules_to_save=["model.norm"]),
           safetensors(sound() + [tensor(norm, (31,))]))
    yield ("saved-nan", "not_finite", "a NaN in a norm", config(modules_to_save=["model.norm"]),
           safetensors(sound() + [with_nan(tensor(norm, (32,)))]))
    yield ("saved-head-shape", "mismatch", "a head for 287 tokens", config(modules_to_save=["lm_head"]),
           safetensors(sound() + [tensor(head, (287, 32))]))
    yield ("ok-saved-linear", "ok", "linear layers trained in full",
           config(modules_to_save=["mlp.down_proj"]), safetensors(sound() + down(2)))
    yield ("saved-linear-shape", "mismatch", "a linear layer of 47 inputs, trained in full",
           config(modules_to_save=["mlp.down_proj"]), safetensors(sound() + down(2, 47)))
    yield ("saved-linear-some", "mismatch", "linear layers trained in full, of which one is not in the file",
           config(modules_to_save=["mlp.down_proj"]), safetensors(sound() + down(1)))
    yield ("ok-saved-absent", "ok", "modules_to_save names what the model has not, and the file neither",
           config(modules_to_save=["score"]), safetensors(sound()))
    yield ("saved-nothing", "mismatch", "modules_to_save is set, and nothing of it is in the file",
           config(modules_to_save=["model.norm"]), safetensors(sound()))
    yield ("saved-unknown", "mismatch", "a classifier trained in full, which the model has not",
           config(modules_to_save=["score"]),
           safetensors(sound() + [tensor("base_model.model.score.weight", (2, 32))]))
    yield ("tokens-count", "mismatch", "three rows for two tokens",
           config(trainable_token_indices=[5, 7]), safetensors(sound() + rows(3)))
    yield ("tokens-outside", "mismatch", "a row for a token that the model has not",
           config(trainable_token_indices=[5, 7, 288]), safetensors(sound() + rows(3)))
    yield ("tokens-twice", "format", "two rows for one token",
           config(trainable_token_indices=[5, 7, 5]), safetensors(sound() + rows(3)))
    yield ("tokens-negative", "format", "a token below 0",
           config(trainable_token_indices=[5, -1, 7]), safetensors(sound() + rows(3)))
    yield ("tokens-width", "mismatch", "rows of 31 numbers",
           config(trainable_token_indices=[5, 7, 9]), safetensors(sound() + rows(3, 31)))
    yield ("tokens-nan", "not_finite", "a NaN in a row",
           config(trainable_token_indices=[5, 7, 9]), safetensors(sound() + rows(3, bad=True)))
    yield ("embedding-shape", "mismatch", "LoRA on an embedding of 287 tokens",
           config(target_modules=embeds),
           safetensors(sound() + [tensor(embed + "A", (RANK, 287)), tensor(embed + "B", (32, RANK))]))
    yield ("embedding-half", "format", "lora_embedding_A without its B", config(target_modules=embeds),
           safetensors(sound() + [tensor(embed + "A", (RANK, 288))]))
    yield ("experts-of-none", "mismatch", "LoRA on experts, which the model has not",
           config(target_parameters=["experts.down_proj"]),
           safetensors(sound() + [
               tensor("base_model.model.model.layers.0.mlp.experts.lora_A.weight", (4 * RANK, 16)),
               tensor("base_model.model.model.layers.0.mlp.experts.lora_B.weight", (32, 4 * RANK))]))


def cases():
    """(directory, expectation, why, config, weights); config and weights may be raw bytes."""
    plain = safetensors(sound())
    nan, inf = float("nan"), float("inf")
    yield "ok", "ok", "a sound adapter: q_proj and v_proj of both layers", config(), plain
    yield ("ok-target-regex", "ok", "target_modules is an expression",
           config(target_modules=r".*\.self_attn\.(q|v)_proj"), plain)
    yield ("ok-layers-to-transform", "ok", "layers_to_transform names the only layer with weights",
           config(layers_to_transform=[1]), safetensors(sound(layers=[1])))
    yield ("ok-rank-pattern", "ok", "v_proj: rank 4 by rank_pattern, alpha 8 by alpha_pattern",
           config(rank_pattern={"v_proj": 4}, alpha_pattern={"v_proj": 8}),
           safetensors(sound(["self_attn.q_proj"])
                       + sound(["self_attn.v_proj"], rank=4)))
    yield ("ok-rslora-bf16", "ok", "use_rslora, weights in BF16", config(use_rslora=True),
           safetensors(sound(dtype="BF16")))
    yield ("ok-f16", "ok", "weights in F16", config(), safetensors(sound(dtype="F16")))
    yield ("ok-exclude-modules", "ok", "exclude_modules takes v_proj of the second layer out",
           config(exclude_modules=["layers.1.self_attn.v_proj"]),
           safetensors(sound()[:6]))

    yield "use-dora", "unsupported", "use_dora is true", config(use_dora=True), plain
    yield ("dora-vectors", "unsupported", "use_dora, and the magnitude vectors that come with it",
           config(use_dora=True),
           safetensors(sound() + [tensor(FIRST.replace("lora_A", "lora_magnitude_vector")
                                         .replace(".weight", ""), (32,))]))
    yield "ok-bias-all", "ok", "bias is \"all\", and the model has none", config(bias="all"), plain
    yield "bias-other", "unsupported", "bias is \"some\"", config(bias="some"), plain
    yield ("bias-of-none", "mismatch", "a trained bias of a layer that has none", config(bias="lora_only"),
           safetensors(sound() + [tensor("base_model.model.model.layers.0.self_attn.q_proj.base_layer.bias", (32,))]))
    yield ("lora-bias", "unsupported", "lora_bias is true: B has a bias of its own",
           config(lora_bias=True),
           safetensors(sound() + [tensor(FIRST_B.replace("weight", "bias"), (32,))]))
    yield from other_kinds()
    yield "peft-type-ia3", "unsupported", "peft_type is IA3", config(peft_type="IA3"), plain
    yield ("weights-int32", "unsupported", "the weights are integers", config(),
           safetensors([[name, "I32", shape, raw] for name, _, shape, raw in sound()]))
    yield ("pickle-only", "unsupported", "adapter_model.bin without safetensors", config(),
           {"adapter_model.bin": b"PK\x03\x04 not read"})

    yield "nan-weight", "not_finite", "one NaN in layers.0 v_proj lora_A", config(), with_value(nan)
    yield ("inf-weight", "not_finite", "one +Inf in layers.0 v_proj lora_A", config(),
           with_value(inf))
    yield ("nan-bf16", "not_finite", "one NaN in BF16, layers.0 q_proj lora_B", config(),
           with_raw(1, "BF16", 0x7FC1))
    yield ("inf-f16", "not_finite", "one -Inf in F16, layers.1 v_proj lora_B", config(),
           with_raw(7, "F16", 0xFC00))

    yield ("wrong-shape-a", "mismatch", "lora_A of one module takes 40 inputs, the model has 32",
           config(), reshaped(FIRST, (RANK, 40)))
    yield ("wrong-shape-b", "mismatch", "lora_B of one module gives 24 outputs, the model has 32",
           config(), reshaped(FIRST_B, (24, RANK)))
    yield ("ranks-differ", "mismatch", "lora_A has rank 2, its lora_B rank 3", config(),
           reshaped(FIRST_B, (32, 3)))
    yield ("rank-not-config", "mismatch", "the config says r 2, the weights have rank 3", config(),
           safetensors(sound(rank=3)))
    yield ("unknown-module", "mismatch", "z_proj does not exist in the model",
           config(target_modules=["q_proj", "z_proj"]), renamed("v_proj", "z_proj"))
    yield ("layer-out-of-range", "mismatch", "weights for layer 7 of a model with 2",
           config(), renamed("layers.1", "layers.7"))
    yield ("matches-nothing", "mismatch", "every module is of another architecture",
           config(target_modules=["query_key_value"]),
           safetensors([[t[0].replace("self_attn.q_proj", "attention.query_key_value"), *t[1:]]
                        for t in sound(["self_attn.q_proj"])]))
    yield ("not-targeted", "mismatch", "weights for v_proj, which target_modules does not name",
           config(target_modules=["q_proj"]), plain)
    yield ("layer-not-targeted", "mismatch", "weights for layer 1, layers_to_transform is [0]",
           config(layers_to_transform=[0]), plain)

    yield ("missing-b", "format", "layers.0 q_proj has lora_A and no lora_B", config(),
           safetensors([t for t in sound() if t[0] != FIRST_B]))
    yield ("missing-a", "format", "layers.0 q_proj has lora_B and no lora_A", config(),
           safetensors([t for t in sound() if t[0] != FIRST]))
    yield ("unexpected-key", "unsupported", "a tensor that is no part of a LoRA", config(),
           safetensors(sound() + [tensor("base_model.model.model.layers.0.extra.scale", (4,))]))
    yield ("three-dimensions", "unsupported", "lora_A has three dimensions, as a convolution's", config(),
           reshaped(FIRST, (RANK, 4, 8)))
    yield "no-tensors", "format", "a safetensors file with no tensor", config(), safetensors([])
    yield "empty-weights", "format", "a file of no bytes", config(), b""
    yield "truncated", "format", "the file ends in the middle of the data", config(), plain[:-300]
    yield ("truncated-header", "format", "the file ends in the middle of the header", config(),
           plain[:200])
    yield ("trailing-bytes", "format", "bytes behind the last tensor", config(),
           plain + b"\0" * 16)
    yield ("header-length-huge", "format", "the header claims 2^63 bytes", config(),
           struct.pack("<Q", 1 << 63) + plain[8:])
    yield ("header-length-over-100mb", "format", "the header claims 101 MB", config(),
           struct.pack("<Q", 101_000_000) + plain[8:])
    yield ("header-not-json", "format", "the header is not JSON", config(),
           plain[:8] + plain[8:].replace(b'"dtype"', b'"dtype', 1))
    yield ("header-deep", "format", "the header nests 20000 brackets", config(),
           assemble([('"x"', "[" * 20000)], b""))
    yield "overlap", "format", "two tensors share 8 bytes", config(), with_header(overlap)
    yield "hole", "format", "4 bytes between two tensors", config(), with_header(hole)
    yield ("past-end", "format", "offsets behind the end of the file", config(),
           with_header(past_end))
    yield ("offsets-backwards", "format", "the end of a tensor is before its start", config(),
           with_header(set_header(FIRST, "data_offsets", [256, 0])))
    yield ("offsets-negative", "format", "a negative offset", config(),
           with_header(set_header(FIRST, "data_offsets", [-256, 0])))
    yield ("shape-not-span", "format", "the shape needs other bytes than the offsets give",
           config(), with_header(set_header(FIRST, "shape", [RANK, 31])))
    yield ("shape-overflow", "format", "the shape's product is 2^64 + 64", config(),
           with_header(set_header(FIRST, "shape", [1 << 32, 1 << 32])))
    yield ("shape-negative", "format", "a negative extent", config(),
           with_header(set_header(FIRST, "shape", [-RANK, -32])))
    yield ("dtype-unknown", "format", "a dtype that does not exist", config(),
           with_header(set_header(FIRST, "dtype", "F7")))
    yield "duplicate-name", "format", "one tensor name twice", config(), duplicate()

    yield ("config-not-json", "format", "the config ends in the middle",
           b'{"peft_type": "LORA", ', plain)
    yield "config-array", "format", "the config is an array", b"[]\n", plain
    yield "config-empty", "format", "the config has no bytes", b"", plain
    yield ("config-no-r", "mismatch", "the config has no r, which is 8 then; the weights have rank 2",
           config(r=REMOVED), plain)
    yield ("ok-config-no-r", "ok", "the config has no r, which is 8 then, as the weights have",
           config(r=REMOVED, target_modules=["q_proj"]),
           safetensors(sound(["self_attn.q_proj"], rank=8)))
    yield "config-r-zero", "format", "r is 0", config(r=0), plain
    yield "config-r-text", "format", "r is a string", config(r="2"), plain
    yield ("config-alpha-text", "format", "lora_alpha is a string", config(lora_alpha="much"),
           plain)
    yield ("config-no-peft-type", "format", "the config has no peft_type",
           config(peft_type=REMOVED), plain)
    yield ("config-bad-regex", "format", "target_modules is an expression with an open bracket",
           config(target_modules="(.*q_proj"), plain)
    yield ("config-invalid-utf8", "format", "a byte that is not UTF-8 in the config",
           b'{"peft_type": "LORA\xff", "r": 2}\n', plain)


def write(folder, settings, weights):
    folder.mkdir(parents=True)
    if isinstance(settings, dict):
        settings = (json.dumps(settings, indent=1, sort_keys=True) + "\n").encode()
    (folder / "adapter_config.json").write_bytes(settings)
    files = weights if isinstance(weights, dict) else {"adapter_model.safetensors": weights}
    for name, content in files.items():
        (folder / name).write_bytes(content)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    shutil.rmtree(args.out, ignore_errors=True)
    manifest = {}
    for name, expect, why, settings, weights in cases():
        write(args.out / name, settings, weights)
        manifest[name] = {"expect": expect, "why": why}
    # A directory that lacks one of its two files.
    (args.out / "config-missing").mkdir()
    (args.out / "config-missing" / "adapter_model.safetensors").write_bytes(safetensors(sound()))
    manifest["config-missing"] = {"expect": "io", "why": "no adapter_config.json"}
    (args.out / "weights-missing").mkdir()
    (args.out / "weights-missing" / "adapter_config.json").write_text(json.dumps(config()) + "\n")
    manifest["weights-missing"] = {"expect": "io", "why": "no adapter_model.safetensors"}
    for name in NEEDS_BASE:
        manifest[name]["needs_base"] = True
    text = ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}"
                      for name, entry in sorted(manifest.items()))
    (args.out / "MANIFEST.json").write_text("{\n" + text + "\n}\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in args.out.rglob("*") if path.is_file())
    print(f"{len(manifest)} directories, {size} bytes")


if __name__ == "__main__":
    main()
