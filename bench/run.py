#!/usr/bin/env python3
"""Measure the in-process providers against their peers, built from the same llama.cpp source.

    bench/run.py --build BUILD --peers DIR --model NAME=FILE... [--only SECTION,...] [--rounds N] [--threads N]
                 [--python PROGRAM [--python-server FILE]] [--mistralrs PROGRAM]

--model: a GGUF file, or DIR,GGUF: a checkpoint's directory, and the GGUF file of the same weights, which peers get
and from which adapters' shapes are read. May be given more than once. What is not there is left out of the tables.

Prints one Markdown table a section. Every comparison interleaves its sides, round after round;
a cell is the median of the rounds with the lowest and the highest, a ratio the median of the
rounds' own ratios, since all sides of a round saw the same machine.
"""
import argparse
import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from peers import (TOKENS, Driver, Mistral, PythonInTurn, PythonServer, Server, adapters, llama_batched_bench,
                   llama_bench, ratio, spread)

CURVE_TOKENS = 16
Model = collections.namedtuple("Model", "name path gguf")


def one_stream(o):
    print("\n### One stream, against llama-bench\n")
    print("| model | what | inference, tok/s | llama-bench, tok/s | ratio |\n|---|---|---|---|---|")
    for name, model, gguf in o.models:
        d = Driver(o, model)
        ours, theirs = {"decode": [], "prefill": []}, {"decode": [], "prefill": []}
        for _ in range(o.rounds):
            answer = d.ask("decode", 128)
            ours["decode"].append(answer["tokens_per_second"])
            theirs["decode"].append(llama_bench(o, gguf, 0, 128))
            d.ask("prefill", 512, -1)  # llama-bench warms up too
            answer = d.ask("prefill", 512, -1)
            ours["prefill"].append(answer["prompt_tokens"] / answer["ms"] * 1e3)
            theirs["prefill"].append(llama_bench(o, gguf, 512, 0))
        d.close()
        for what, label in (("decode", "decode, 128 tokens"), ("prefill", "prefill, 512 tokens")):
            print(f"| {name} | {label} | {spread(ours[what])} | {spread(theirs[what])} | "
                  f"{ratio(ours[what], theirs[what]):.2f} |", flush=True)


SCHEMA = {"type": "array", "minItems": 1000, "items": {
    "type": "object", "properties": {
        "name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "trade": {"enum": ["baker", "smith", "farmer", "teacher"]},
        "children": {"type": "array", "items": {"type": "string"}, "maxItems": 3}},
    "required": ["name", "age", "trade"], "additionalProperties": False}}


def constrained(o):
    """Decoding JSON of a schema, against decoding freely, and llama-server with the same schema."""
    print("\n### Decoding under a JSON schema\n")
    print("| model | tokens | free, tok/s | with the schema, tok/s | ratio | llama-server with it, tok/s | ratio |")
    print("|---|---|---|---|---|---|---|")
    schema = json.dumps(SCHEMA, separators=(",", ":"))
    for name, model, gguf in o.models:
        d, server = Driver(o, model), Server(o, gguf)
        free, ours, theirs = [], [], []
        for _ in range(o.rounds):
            free.append(d.ask("decode", 256)["tokens_per_second"])
            ours.append(d.ask("constrained", 256, schema)["tokens_per_second"])
            theirs.append(server.constrained(256, SCHEMA))
        print(f"| {name} | 256 | {spread(free)} | {spread(ours)} | {ratio(ours, free):.2f} | {spread(theirs)} | "
              f"{ratio(ours, theirs):.2f} |", flush=True)
        d.close()
        server.close()


def lookup(o):
    """Speculation: rewriting a file, and prose, with and without."""
    print("\n### Speculation by lookup, one stream\n")
    print("| model | what | without, tok/s | with, tok/s | ratio | drafted | accepted | tokens | steps |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, model, gguf in o.models:
        d = Driver(o, model)
        for what, tokens in (("rewrite", 700), ("prose", 400)):
            d.ask(what, 1, tokens)
            without, having = [], []
            for _ in range(o.rounds):
                without.append(d.ask(what, 0, tokens)["tokens_per_second"])
                last = d.ask(what, 1, tokens)
                having.append(last["tokens_per_second"])
            print(f"| {name} | {what} | {spread(without)} | {spread(having)} | {ratio(having, without):.2f} | "
                  f"{last['drafted']} | {last['accepted']} | {last['tokens']} | {last['steps']} |", flush=True)
        d.close()


def masks(o):
    """What a constraint costs a step, without a model's compute."""
    print("\n### The mask of a step over SmolLM2's vocabulary, µs (compiling the schema, µs)\n")
    print("| schema | mean | median | most | compiling |\n|---|---|---|---|---|")
    output = subprocess.run([f"{o.build}/bench/bench-mask-cost", o.models[0].gguf], check=True, capture_output=True,
                            text=True).stdout
    for line in map(json.loads, output.splitlines()):
        if "schema" in line:
            m = line["mask_us"]
            print(f"| {line['schema']} | {m['mean']} | {m['median']} | {m['most']} | {line['compile_us']} |")


def eight_sides(o, model, gguf, prefix):
    """What serves eight requests at once: of each peer a function of the number of adapters (0, 1 or 8), None where
    it has no way to, and all that is to be closed."""
    loras = [f"{prefix}{i}.gguf" for i in range(8)]
    ours, plain, with_adapters = Driver(o, model), Server(o, gguf), Server(o, gguf, loras)
    ours.ask("register", 8, prefix, 8)
    sides = {"inference": lambda n, *t: ours.total(8, n, *t),
             "llama-server": lambda n, *t: (with_adapters if n else plain).total(8, n, *t)}
    opened = [ours, plain, with_adapters]
    if o.python and o.python_server:
        python = {0: PythonServer(o, gguf), 1: PythonServer(o, gguf, loras[:1]), 8: PythonInTurn(o, gguf)}
        python[8].ask("register", 8, prefix, 8)
        sides["llama-cpp-python"] = lambda n, *t: python[n].total(8, n, *t)
        opened += python.values()
    if o.mistralrs:
        mistral = {0: Mistral(o, model)}
        if os.path.isdir(model):
            mistral[1] = Mistral(o, model, adapter=f"{prefix}0")
        sides["mistral.rs"] = lambda n, *t: mistral[n].total(8, n, *t) if n in mistral else None
        opened += mistral.values()
    return sides, opened


def eight_requests(o):
    print("\n### Eight requests at once, against llama-server and others\n")
    peers = ["llama-server", *(["llama-cpp-python"] if o.python and o.python_server else []),
             *(["mistral.rs"] if o.mistralrs else [])]
    print("| model | adapters | inference, tok/s | of the base batch | " +
          " | ".join(f"{peer}, tok/s | ratio" for peer in peers) + " |")
    print("|---|---|---|---|" + "---|---|" * len(peers))
    for name, model, gguf in o.models:
        sides, opened = eight_sides(o, model, gguf, adapters(o, gguf, 8, 8))
        for n in (0, 1, 8):
            for measure in sides.values():
                measure(n, 8)
        values = {(n, side): [] for n in (0, 1, 8) for side in sides}
        for _ in range(o.rounds):
            for n, side in values:
                values[n, side].append(sides[side](n))
        for n, label in ((0, "none"), (1, "one, rank 8"), (8, "eight, rank 8")):
            ours = values[n, "inference"]
            cells = [name, label, spread(ours), f"{ratio(ours, values[0, 'inference']):.2f}"]
            for peer in peers:
                theirs = values[n, peer]
                cells += [spread(theirs), f"{ratio(ours, theirs):.2f}"] if None not in theirs else ["", ""]
            print("| " + " | ".join(cells) + " |", flush=True)
        for side in opened:
            side.close()


def batches(o):
    print("\n### Requests at once without adapters, against llama-batched-bench\n")
    print("| model | requests | inference, tok/s | llama-batched-bench, tok/s | ratio |\n|---|---|---|---|---|")
    for name, model, gguf in o.models:
        d = Driver(o, model)
        for requests in (4, 8, 16):
            ours, theirs = [], []
            d.total(requests, 0, 8)
            for _ in range(o.rounds):
                ours.append(d.total(requests, 0))
                theirs.append(llama_batched_bench(o, gguf, requests, TOKENS))
            print(f"| {name} | {requests} | {spread(ours)} | {spread(theirs)} | {ratio(ours, theirs):.2f} |", flush=True)
        d.close()


def curve(o):
    counts = (1, 2, 4, 8, 16)
    print("\n### Requests × adapters, all linear layers: tokens a second, and of the base batch\n")
    print("| model | rank | requests | base | " + " | ".join(f"{n} adapters" for n in counts) + " |")
    print("|---|---|---|---|" + "---|" * len(counts))
    for name, model, gguf in o.models:
        for rank in (8, 16):
            prefix = adapters(o, gguf, rank, 16)
            d = Driver(o, model)
            d.ask("register", 16, prefix, 16)
            for requests in counts:
                columns = [0] + [n for n in counts if n <= requests]
                values = {n: [] for n in columns}
                for _ in range(o.rounds):
                    for n in columns:
                        values[n].append(d.total(requests, n, CURVE_TOKENS))
                cells = [f"{statistics.median(values[0]):.0f}"]
                cells += [f"{statistics.median(values[n]):.0f} ({ratio(values[n], values[0]):.2f})"
                          if n in values else "" for n in counts]
                print(f"| {name} | {rank} | {requests} | " + " | ".join(cells) + " |", flush=True)
            d.close()


def prefill(o):
    print("\n### Prefill of 512 tokens under an adapter\n")
    print("| model | rank | base, ms | adapter, ms | ratio |\n|---|---|---|---|---|")
    for name, model, gguf in o.models:
        for rank in (8, 16):
            d = Driver(o, model)
            d.ask("register", 1, adapters(o, gguf, rank, 1), 1)
            base, adapted = [], []
            d.ask("prefill", 512, 0)
            for _ in range(o.rounds):
                base.append(d.ask("prefill", 512, -1)["ms"])
                adapted.append(d.ask("prefill", 512, 0)["ms"])
            d.close()
            print(f"| {name} | {rank} | {spread(base)} | {spread(adapted)} | "
                  f"{ratio(adapted, base):.3f} |", flush=True)


def two_adapters(o):
    """Adapters of half the ranks, both on one request, against one of all."""
    print("\n### Two adapters of rank 8 on a request, against one of rank 16\n")
    print("| model | base, tok/s | one of rank 8 | of base | one of rank 16 | two of rank 8 | two / one of rank 16 |")
    print("|---|---|---|---|---|---|---|")
    for name, model, gguf in o.models:
        small, large = Driver(o, model), Driver(o, model)
        small.ask("register", 2, adapters(o, gguf, 8, 2), 2)
        large.ask("register", 1, adapters(o, gguf, 16, 1), 1)
        sides = {"base": (small, -1), "one": (small, 0), "large": (large, 0), "two": (small, 0, 1)}
        values = {side: [] for side in sides}
        for _ in range(o.rounds):
            for side, (driver, *words) in sides.items():
                values[side].append(driver.ask("decode", 128, *words)["tokens_per_second"])
        base, one, large_one, two = values.values()
        print(f"| {name} | {spread(base)} | {spread(one)} | {ratio(one, base):.3f} | {spread(large_one)} | {spread(two)} | "
              f"{ratio(two, large_one):.3f} |", flush=True)
        small.close()
        large.close()


RELOAD = """
import sys, time
from llama_cpp import Llama
model, prefix, n, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
prompt = " the of and to in is that for" * 2
for i in range(n):
    begin = time.perf_counter()
    llm = Llama(model_path=model, lora_path=f"{prefix}{i % 8}.gguf", n_ctx=4096, n_threads=threads,
                verbose=False)
    next(iter(llm.create_completion(prompt, max_tokens=1, temperature=0, stream=True)))
    print((time.perf_counter() - begin) * 1e3, flush=True)
    del llm
"""


def first_tokens(o, model, prefix):
    """Base and adapter in turn: pairs of ms, and what registering took."""
    d = Driver(o, model)
    register = d.ask("register", 1000, prefix, 8)["ms"]
    base, adapted = [], []
    for i in range(30 * o.rounds):
        base.append(d.ask("first", -1)["ms"])
        adapted.append(d.ask("first", i * 37 % 1000)["ms"])
    d.close()
    return base, adapted, register


def thousand(o):
    print("\n### A thousand adapters registered, another one each request: time to the first token\n")
    print("| model | what | ms | above base, ms |\n|---|---|---|---|")
    for name, model, gguf in o.models:
        prefix = adapters(o, gguf, 8, 8)
        base, adapted, register = first_tokens(o, model, prefix)
        above = statistics.median(a - b for a, b in zip(adapted, base))
        print(f"| {name} | inference, base | {spread(base, 2)} | |")
        print(f"| {name} | inference, another of 1000 adapters each time "
              f"({register:.0f} ms to register them) | {spread(adapted, 2)} | {above:.2f} |")
        if o.python:
            output = subprocess.run([o.python, "-c", RELOAD, gguf, prefix, "10", str(o.threads)],
                                    check=True, capture_output=True, text=True).stdout
            reload = [float(line) for line in output.split()]
            above = statistics.median(reload) - statistics.median(base)
            print(f"| {name} | llama-cpp-python, a new Llama(lora_path=…) each time | "
                  f"{spread(reload, 1)} | {above:.1f} |", flush=True)


def loading(o):
    print("\n### Loading a rank-8 PEFT adapter on all linear layers\n")
    print("| model | load, ms | time between tokens, ms: mean / longest | while loading, longest |")
    print("|---|---|---|---|")
    for name, model, gguf in o.models:
        path = adapters(o, gguf, 8, 1) + "0"
        d = Driver(o, model)
        times = [d.ask("load", path)["ms"] for _ in range(10 * o.rounds)]
        stalls = [d.ask("stall", path, 5) for _ in range(o.rounds)]
        d.close()

        def middle(key):
            return statistics.median(s[key] for s in stalls)
        print(f"| {name} | {spread(times)} | {middle('mean_ms'):.1f} / {middle('longest_ms'):.1f} | "
              f"{middle('longest_loading_ms'):.1f} |", flush=True)


def token_cost(o):
    print("\n### The library's own CPU for each streamed token (no model: an engine that costs nothing)\n")
    print("| streams | µs a token, all threads |\n|---|---|")
    for streams in (1, 8, 16):
        values = [json.loads(subprocess.run([f"{o.build}/bench/bench-token-cost", str(streams)],
                                            check=True, capture_output=True).stdout)["us_per_token"]
                  for _ in range(o.rounds)]
        print(f"| {streams} | {spread(values)} |", flush=True)


class Load:
    """So many processes that do nothing but keep a core busy."""

    def __init__(self, n):
        self.processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
                          for _ in range(n)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for p in self.processes:
            p.kill()
            p.wait()


BUSY_TOKENS = 24
BUSY_SETTLES_S = 3  # the choice of threads, and the system's own balance


def busy(o):
    print(f"\n### On a busy machine: one stream of {BUSY_TOKENS} tokens, tok/s, beside busy processes\n")
    print("| busy processes | inference | with --threads 1 | llama-bench | its -t 1 | of idle | "
          "of --threads 1 |\n|---|---|---|---|---|---|---|")
    _, model, gguf = o.models[0]
    drivers = [Driver(o, model), Driver(o, model, 1)]
    idle = None
    for n in (0, 1, o.threads):
        rows = [[], [], [], []]
        with Load(n):
            for d in drivers:
                end = time.monotonic() + BUSY_SETTLES_S
                while time.monotonic() < end:
                    d.ask("decode", 16)
            for _ in range(o.rounds):
                for i, d in enumerate(drivers):
                    rows[i].append(d.ask("decode", BUSY_TOKENS)["tokens_per_second"])
                rows[2].append(llama_bench(o, gguf, 0, BUSY_TOKENS))
                rows[3].append(llama_bench(o, gguf, 0, BUSY_TOKENS, 1))
        idle = idle or statistics.median(rows[0])
        print(f"| {n} | " + " | ".join(spread(r) for r in rows) +
              f" | {statistics.median(rows[0]) / idle:.2f} | {ratio(rows[0], rows[1]):.2f} |", flush=True)
    for d in drivers:
        d.close()


SECTIONS = {"one": one_stream, "batches": batches, "eight": eight_requests, "curve": curve, "prefill": prefill,
            "two": two_adapters, "thousand": thousand, "loading": loading, "token": token_cost, "busy": busy,
            "schema": constrained, "masks": masks, "lookup": lookup}


def model_of(word):
    name, paths = word.split("=", 1)
    path, *gguf = paths.split(",")
    return Model(name, path, gguf[0] if gguf else path)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--build", required=True)
    p.add_argument("--peers", help="for all sections but lookup and masks")
    p.add_argument("--model", required=True, action="append", metavar="NAME=FILE|NAME=DIR,GGUF")
    p.add_argument("--only", default=",".join(SECTIONS))
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--python", help="a Python with llama-cpp-python")
    p.add_argument("--python-server", help="llama-cpp-python's examples/server/server.py")
    p.add_argument("--mistralrs", help="bench/mistralrs, built")
    o = p.parse_args()
    if not o.peers and set(o.only.split(",")) - {"lookup", "masks"}:
        p.error("--peers is needed for these sections")
    o.models = [model_of(word) for word in o.model]
    if any(os.path.isdir(m.gguf) for m in o.models):
        p.error("a checkpoint's directory needs the GGUF file of the same weights beside it: NAME=DIR,GGUF")
    with tempfile.TemporaryDirectory() as o.work:
        for name in o.only.split(","):
            SECTIONS[name](o)


main()
