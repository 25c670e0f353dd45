#!/usr/bin/env python3
"""Measure the transformers provider on checkpoints with random weights in BF16.

    bench/checkpoints.py --build BUILD --peers DIR --model NAME=DIR[,GGUF]... [--tokenizer DIR] [--python PROGRAM]
                         [--mistralrs PROGRAM] [--only SECTION,...] [--rounds N] [--threads N]

--model: a checkpoint's directory, and the GGUF file of the same weights, for this library's other front door and
llama.cpp's programs. --tokenizer: a published Qwen tokenizer's directory; memory is measured with models of
several families, which are made with it. --python: one with transformers, torch and peft. What is not given is
left out. Every comparison interleaves its sides, round after round; a cell is the median of the rounds with the
lowest and the highest, a ratio the median of the rounds' own ratios.

Sections: start, speed, adapted, memory, adapters, dtypes. The tables of requests and adapters are bench/run.py's,
with the same --model.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from peers import HERE, Conversation, Driver, Mistral, adapters, llama_bench, ratio, spread
from random_checkpoint import SHAPES, config_of, make_adapter, make_checkpoint

TEXT = "The tide comes in when"
DECODED, PREFILLED, WINDOW = 64, 512, 4096
PAUSE_S = 0.3  # threads of the side before may spin for a while


class Transformers(Conversation):
    """bench/transformers_peft.py."""

    def __init__(self, o, model):
        super().__init__([o.python, f"{HERE}/transformers_peft.py", model, o.threads])


def table(title, columns):
    print(f"\n### {title}\n\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns), flush=True)


def in_turn(rounds, sides):
    """What each of the functions gives, by its name: a list of the rounds."""
    values = {name: [] for name in sides}
    for _ in range(rounds):
        for name, measure in sides.items():
            time.sleep(PAUSE_S)
            values[name].append(measure())
    return values


def wall(command, **environment):
    begin = time.perf_counter()
    subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL, capture_output=True,
                   env={**os.environ, **environment})
    return time.perf_counter() - begin


# ---- process start to the first token

def first_token(o, model):
    return [f"{o.build}/inference", "generate", "-m", model, "--threads", o.threads, "--quiet", "-n", "1",
            "--temperature", "0", "--no-stream", "--prompt", TEXT]


def start_sides(o, model, gguf):
    yield "the checkpoint", lambda: wall(first_token(o, model))
    if gguf:
        yield "the same weights as GGUF, by this command", lambda: wall(first_token(o, gguf))
        yield "llama-completion, GGUF", lambda: wall(
            [f"{o.peers}/bin/llama-completion", "-m", gguf, "-t", o.threads, "-c", WINDOW, "-n", "1", "--temp", "0",
             "-no-cnv", "--no-warmup", "-p", TEXT])
    if o.python:
        yield "transformers", lambda: wall([o.python, f"{HERE}/transformers_peft.py", model, o.threads, TEXT])
    if o.mistralrs:
        yield "mistral.rs", lambda: wall([o.mistralrs, model, "--first"], RAYON_NUM_THREADS=str(o.threads))


def start(o):
    table("Process start to the first token, warm page cache", ["model", "what", "s", "ours / it"])
    for name, model, gguf in o.models:
        sides = dict(start_sides(o, model, gguf))
        for measure in sides.values():
            measure()  # the page cache
        values = in_turn(o.rounds, sides)
        ours = values["the checkpoint"]
        for what, theirs in values.items():
            print(f"| {name} | {what} | {spread(theirs, 2)} | {ratio(ours, theirs):.3f} |", flush=True)


# ---- speed

class Both:
    """Prefill and decode of one side, in tokens a second."""

    def __init__(self, side, *words):
        self.side, self.words = side, words

    def __call__(self):
        prefill = self.side.ask("prefill", PREFILLED, *self.words)["ms"]
        decode = self.side.ask("decode", DECODED, *self.words)["tokens_per_second"]
        return PREFILLED / prefill * 1e3, decode


def measure_speed(o, name, sides):
    for measure in sides.values():
        measure()  # llama-bench warms up too
    values = in_turn(o.rounds, sides)
    ours = values["the checkpoint"]
    for what, theirs in values.items():
        cells = []
        for i in range(2):
            cells += [spread([v[i] for v in theirs]), f"{ratio([v[i] for v in ours], [v[i] for v in theirs]):.2f}"]
        print(f"| {name} | {what} | " + " | ".join(cells) + " |", flush=True)


def speed(o):
    table("Speed, tokens a second", ["model", "what", f"prefill of {PREFILLED}", "ours / it",
                                     f"decode of {DECODED}", "ours / it"])
    for name, model, gguf in o.models:
        opened = {"the checkpoint": (Driver(o, model), -1)}
        sides = {}
        if gguf:
            opened["the GGUF front door"] = (Driver(o, gguf), -1)
            sides["llama-bench, GGUF"] = lambda gguf=gguf: (llama_bench(o, gguf, PREFILLED, 0),
                                                            llama_bench(o, gguf, 0, DECODED))
        if o.python:
            opened["transformers"] = (Transformers(o, model), -1)
        if o.mistralrs:
            opened["mistral.rs, its choice of type"] = (Mistral(o, model),)
            opened["mistral.rs in float32"] = (Mistral(o, model, "--dtype", "f32"),)
        sides = {**{what: Both(*words) for what, words in opened.items()}, **sides}
        measure_speed(o, name, sides)
        for side, *_ in opened.values():
            side.close()


def adapted_sides(o, model, gguf, prefix):
    yield "the checkpoint", Driver(o, model)
    if gguf:
        yield "the GGUF front door", Driver(o, gguf)
    if o.python:
        yield "transformers + peft", Transformers(o, model)


def adapted(o):
    """Under one adapter, and eight requests with an adapter each."""
    requests = 8
    table(f"Under rank-8 adapters on all linear layers, tokens a second", [
        "model", "what", f"prefill of {PREFILLED}, one adapter", "ours / it", f"decode of {DECODED}, one adapter",
        "ours / it"])
    totals = []
    for name, model, gguf in o.models:
        if not gguf:
            continue  # the adapters' shapes are read from it
        prefix = adapters(o, gguf, 8, requests)
        opened = dict(adapted_sides(o, model, gguf, prefix))
        for side in opened.values():
            side.ask("register", requests, prefix, requests)
        measure_speed(o, name, {what: Both(side, 0) for what, side in opened.items()})
        values = in_turn(o.rounds, {what: lambda side=side: side.total(requests, requests, 32)
                                    for what, side in opened.items()})
        totals += [(name, what, theirs, ratio(values["the checkpoint"], theirs)) for what, theirs in values.items()]
        for side in opened.values():
            side.close()
    table(f"{requests} requests at once, {requests} adapters", ["model", "what", "tokens a second", "ours / it"])
    for name, what, theirs, of in totals:
        print(f"| {name} | {what} | {spread(theirs)} | {of:.2f} |", flush=True)


# ---- memory

MEMORY = {"0.5B": "Qwen2", "0.5B-qwen3": "Qwen3", "0.5B-gemma3": "Gemma 3", "0.5B-llama": "Llama",
          "0.5B-qwen3_5": "Qwen3.5"}


def kv_bytes(shape):
    """Of the window, in 16 bits; a delta net's state is not in it."""
    layers = sum(not shape.is_delta_net(i) for i in range(shape.layers))
    return 2 * 2 * layers * shape.kv_heads * shape.head * WINDOW


def memory_row(o, family, shape, folder):
    make_checkpoint(folder, o.tokenizer, shape)
    size = (folder / "model.safetensors").stat().st_size
    done = subprocess.run([f"{o.build}/inference", "inspect", str(folder)], check=True, capture_output=True)
    copied = json.loads(done.stdout)["copied_bytes"]
    driver = Driver(o, folder)
    driver.ask("decode", 8)
    used = driver.ask("opened")["anonymous_kb"] * 1024
    driver.close()
    shutil.rmtree(folder)
    mib = [f"{n / 2**20:.0f}" for n in (size, copied, kv_bytes(shape), used)]
    print(f"| {family} | " + " | ".join(mib) + f" | {used / size:.3f} |", flush=True)


def memory(o):
    if not o.tokenizer:
        return
    table(f"Anonymous memory after a first request, models of the 0.5B sizes, window of {WINDOW}",
          ["family", "weights, MiB", "copied, MiB", "KV, MiB", "anonymous, MiB", "of the weights"])
    for name, family in MEMORY.items():
        memory_row(o, family, SHAPES[name], Path(o.work) / name)


# ---- loading

def peft_adapters(o):
    table("Loading a rank-8 PEFT adapter (BF16) on all linear layers, ms", ["model", "from", "ms"])
    for name, model, _ in o.models:
        path = Path(o.work) / f"adapter-{name}"
        make_adapter(path, SHAPES[name])
        driver = Driver(o, model)
        for how, where in (("load", "the page cache"), ("memory", "memory")):
            driver.ask(how, path)
            print(f"| {name} | {where} | {spread([driver.ask(how, path)['ms'] for _ in range(10 * o.rounds)])} |",
                  flush=True)
        driver.close()


def load_seconds(o, model, dtype):
    driver = Driver(o, model, dtype=dtype)
    seconds = driver.ask("opened")["load_seconds"]
    driver.close()
    return seconds


def dtypes(o):
    table("Loading with another dtype", ["model", "dtype", "s", "GB/s of BF16"])
    for name, model, _ in o.models:
        size = Path(model, "model.safetensors").stat().st_size
        values = in_turn(o.rounds, {dtype: lambda dtype=dtype: load_seconds(o, model, dtype)
                                    for dtype in ("bfloat16", "q8_0", "q4_0", "q4_k")})
        for dtype, seconds in values.items():
            print(f"| {name} | {dtype} | {spread(seconds, 2)} | {size / statistics.median(seconds) / 1e9:.2f} |",
                  flush=True)


SECTIONS = {"start": start, "speed": speed, "adapted": adapted, "memory": memory, "adapters": peft_adapters,
            "dtypes": dtypes}


def model_of(word):
    name, paths = word.split("=", 1)
    path, *gguf = paths.split(",")
    return name, path, gguf[0] if gguf else None


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--build", required=True)
    p.add_argument("--peers", required=True)
    p.add_argument("--model", required=True, action="append", metavar="NAME=DIR[,GGUF]")
    p.add_argument("--tokenizer", type=Path)
    p.add_argument("--python")
    p.add_argument("--mistralrs")
    p.add_argument("--only", default=",".join(SECTIONS))
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    o = p.parse_args()
    o.models = [model_of(word) for word in o.model]
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as o.work:
        for name in o.only.split(","):
            SECTIONS[name](o)


main()
