"""A case of the parity check: what its files mean, and weights that need not be stored.

A case is a folder with `case.json`:

    format      1
    family      the model_type, for people
    model       the checkpoint folder or GGUF file, below the case
    dtype       --dtype of every run; left out: none is given
    tolerance   the largest |delta logit| that is noise
    max_tokens  how many tokens the greedy continuations have at most
    adapters    name: folder, below the case
    tokens      a file below the case with texts as the tokenizer takes them apart and puts them together:
                [{"text", "ids", "plain": the ids without the tokenizer's own tokens, if they are others,
                  "decoded": the text of ids, if it is another, "skipped": without special tokens}]
    runs        [{"name", "adapters": [[name, scale], ...], "prompt", "ids": of the prompt,
                  "logits": [{"length": of a beginning of the prompt followed by the greedy
                              continuation, "ids": [token, ...], "values": [logit, ...]}],
                  "greedy": {"ids", "finish_reason", "margin": smallest lead of the best token}}]
    refusals    [{"name", "file", "set", "ids", "code", "says": [word, ...]}]: changes of the model with
                which logits of these ids end with this exit code and a message of these words
    mutations   [{"name", and "tensor", "index", "add" or "file", "set", and "effect"}]: changes of
                the model of which the base's run must notice
    files       file below the case: file that it is a copy of, relative to the case
    versions    what computed it

As a command: `parity_case.py CASE TARGET [KEY=VALUE]...` makes TARGET of the case anew, with all files, and sets
values (JSON) in the model's config.json.

A file NAME.recipe beside what it stands for holds names, types, shapes and a seed: the weights are
numbers that anyone can make again (`expand`). Cases in the repository are of this kind; a case
with real files is as good.
"""

import hashlib
import json
import shutil
import struct
import sys
from pathlib import Path

SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}


def bf16(value):
    """The bytes of the nearest bfloat16, ties to even."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    return struct.pack("<H", (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)


ENCODERS = {"F64": lambda value: struct.pack("<d", value), "F32": lambda value: struct.pack("<f", value),
            "F16": lambda value: struct.pack("<e", value), "BF16": bf16}


def weights(seed, name, dtype, count, centre, scale):
    """`count` numbers spread evenly over 256 steps of centre ± scale, as bytes."""
    stream = hashlib.shake_128(f"{seed}/{name}".encode()).digest(count)
    encode = ENCODERS[dtype]
    steps = [encode(centre + (step - 127.5) / 127.5 * scale) for step in range(256)]
    return b"".join(map(steps.__getitem__, stream))


def product(shape):
    count = 1
    for extent in shape:
        count *= extent
    return count


def write_safetensors(path, metadata, tensors):
    """tensors: [(name, dtype, shape, bytes)], in the order in which they are to lie."""
    header, at = {"__metadata__": metadata}, 0
    for name, dtype, shape, data in tensors:
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for _, _, _, data in tensors:
            out.write(data)


def read_safetensors(path):
    """(metadata, [(name, dtype, shape, offset in the file)]) in the order in which they lie."""
    with open(path, "rb") as source:
        (size,) = struct.unpack("<Q", source.read(8))
        header = json.loads(source.read(size))
    metadata = header.pop("__metadata__", {})
    found = [(name, entry["dtype"], entry["shape"], 8 + size + entry["data_offsets"][0])
             for name, entry in header.items()]
    return metadata, sorted(found, key=lambda tensor: tensor[3])


def recipe_rows(recipe):
    """(name, dtype, shape, centre, scale, seed, name of what the numbers are made for) of each tensor.
    A row of a recipe is [name, dtype, shape, centre, scale], then the numbers that a '#' in the name
    stands for, or null; then, where the numbers are those of another tensor, its seed and its name."""
    for name, dtype, shape, centre, scale, *more in recipe["tensors"]:
        numbers = more[0] if more else None
        seed, of = more[1:] or (recipe["seed"], name)
        for number in numbers or [""]:
            yield (name.replace("#", str(number)), dtype, shape, centre, scale, seed, of.replace("#", str(number)))


def write_made(path, recipe):
    """The safetensors file that the recipe says."""
    write_safetensors(path, recipe["metadata"], [
        (name, dtype, shape, weights(seed, of, dtype, product(shape), centre, scale))
        for name, dtype, shape, centre, scale, seed, of in recipe_rows(recipe)])


def expand(case, target):
    """The case as a folder that can be run: itself, or a copy at `target` with all files made."""
    case = Path(case)
    content = json.loads((case / "case.json").read_text(encoding="utf-8"))
    if not content.get("files") and not list(case.rglob("*.recipe")):
        return case, content
    return copy(case, target, content), content


def copy(case, target, content):
    shutil.copytree(case, target)
    for name, source in content.get("files", {}).items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(case / source, target / name)
    for path in target.rglob("*.recipe"):
        write_made(path.with_suffix(""), json.loads(path.read_text(encoding="utf-8")))
        path.unlink()
    return target


def change_tensor(path, name, index, add):
    """Adds to one number of a safetensors file; False when the tensor is not in it."""
    for found, dtype, shape, offset in read_safetensors(path)[1]:
        if found != name:
            continue
        at = 0
        for extent, i in zip(shape, index):
            at = at * extent + i
        with open(path, "r+b") as file:
            file.seek(offset + at * SIZES[dtype])
            data = file.read(SIZES[dtype])
            if dtype == "BF16":
                (value,) = struct.unpack("<f", b"\0\0" + data)
            else:
                (value,) = struct.unpack({"F64": "<d", "F32": "<f", "F16": "<e"}[dtype], data)
            file.seek(offset + at * SIZES[dtype])
            file.write(ENCODERS[dtype](value + add))
        return True
    return False


def change_json(path, changes):
    """Sets values in a JSON file; a key is a path with dots."""
    content = json.loads(path.read_text(encoding="utf-8"))
    for key, value in changes.items():
        place = content
        *parents, last = key.split(".")
        for parent in parents:
            place = place[parent]
        place[last] = value
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def mutate(model, mutation):
    """One mutation of a case, done to a copy of its model folder."""
    if "file" in mutation:
        change_json(model / mutation["file"], mutation["set"])
        return
    if not any(change_tensor(path, mutation["tensor"], mutation["index"], mutation["add"])
               for path in model.glob("*.safetensors")):
        raise ValueError(f"no tensor {mutation['tensor']} in {model}")


def main(case, target, *changes):
    target = Path(target)
    shutil.rmtree(target, ignore_errors=True)
    content = json.loads((Path(case) / "case.json").read_text(encoding="utf-8"))
    copy(Path(case), target, content)
    pairs = (change.split("=", 1) for change in changes)
    change_json(target / content["model"] / "config.json", {key: json.loads(value) for key, value in pairs})


if __name__ == "__main__":
    main(*sys.argv[1:])
