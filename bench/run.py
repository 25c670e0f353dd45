#!/usr/bin/env python3
"""Measure the llama.cpp provider against its peers, built from the same llama.cpp source.

    bench/run.py --build BUILD --peers DIR --model NAME=GGUF... [--only SECTION,...] [--rounds N]
                 [--python PROGRAM] [--threads N]

Prints one Markdown table a section. Every comparison interleaves the two sides, round after round;
a cell is the median of the rounds with the lowest and the highest, a ratio the median of the
rounds' own ratios, since both sides of a round saw the same machine.
"""
import argparse
import concurrent.futures
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

TOKENS = 64
PROMPT = 16
CURVE_TOKENS = 16


def spread(values, digits=1):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} – {max(values):.{digits}f})"


def ratio(ours, theirs):
    return statistics.median(a / b for a, b in zip(ours, theirs))


class Driver:
    """bench/driver.c: the library."""

    def __init__(self, o, model, threads=None):
        self.process = subprocess.Popen([f"{o.build}/bench/bench-driver", model, str(threads or o.threads)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"driver ended while asked: {words}")
        return json.loads(line)

    def total(self, requests, adapters, tokens=TOKENS):
        """Total tokens a second of so many requests at once."""
        answer = self.ask("generate", requests, adapters, tokens, PROMPT)
        if answer["tokens"] != requests * tokens:
            sys.exit(f"a request ended early: {answer}")
        return answer["tokens"] / answer["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Server:
    """llama-server with eight slots of 4096 tokens."""

    def __init__(self, o, model, adapters=()):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        command = [f"{o.peers}/bin/llama-server", "-m", model, "--host", "127.0.0.1", "--port",
                   str(self.port), "-np", "8", "-c", str(8 * 4096), "-t", str(o.threads), "-tb",
                   str(o.threads), "--no-webui", "--no-kv-unified"]
        for path in adapters:
            command += ["--lora", path]
        if adapters:
            command += ["--lora-init-without-apply"]
        self.n_adapters = len(adapters)
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self.pool = concurrent.futures.ThreadPoolExecutor(16)
        self.calls = 0
        for _ in range(600):
            try:
                self.get("/health")
                return
            except OSError:
                if self.process.poll() is not None:
                    self.log.seek(0)
                    sys.exit(self.log.read().decode()[-2000:])
                time.sleep(0.1)
        sys.exit("llama-server does not start")

    def get(self, path):
        return urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=300).read()

    def complete(self, adapter, tokens):
        self.calls += 1
        words = [" the", " of", " and", " to", " in", " is", " that", " for"]
        prompt = "".join(words[(self.calls * 7 + i * 3 + i // 8) % 8] for i in range(PROMPT))
        body = {"prompt": prompt, "n_predict": tokens, "temperature": 0, "ignore_eos": True,
                "cache_prompt": False}
        if self.n_adapters:
            body["lora"] = [{"id": i, "scale": 1.0 if i == adapter else 0.0}
                            for i in range(self.n_adapters)]
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/completion",
                                         json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=600))["tokens_predicted"]

    def constrained(self, tokens, schema):
        """Tokens a second of one request whose text must be JSON of the schema."""
        body = {"prompt": "The people of the village, as JSON:", "n_predict": tokens + 1, "temperature": 0,
                "json_schema": schema, "cache_prompt": False}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/completion", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        answer = json.load(urllib.request.urlopen(request, timeout=600))
        return answer["timings"]["predicted_per_second"]

    def total(self, requests, adapters, tokens=TOKENS):
        begin = time.perf_counter()
        done = list(self.pool.map(lambda i: self.complete(i % adapters if adapters else -1, tokens),
                                  range(requests)))
        seconds = time.perf_counter() - begin
        if sum(done) != requests * tokens:
            sys.exit(f"llama-server ended early: {done}")
        return sum(done) / seconds

    def close(self):
        self.process.terminate()
        self.process.wait()


def llama_bench(o, model, prompt, tokens, threads=None):
    """Tokens a second of one repetition after its own warm-up."""
    output = subprocess.run([f"{o.peers}/bin/llama-bench", "-m", model, "-t",
                             str(threads or o.threads), "-p", str(prompt), "-n", str(tokens), "-r", "1",
                             "-o", "json"], check=True, capture_output=True).stdout
    return json.loads(output)[0]["avg_ts"]


def llama_batched_bench(o, model, requests, tokens):
    """Tokens a second of so many sequences at once, the prompts' time included, after its own warm-up."""
    output = subprocess.run([f"{o.peers}/bin/llama-batched-bench", "-m", model, "-t", str(o.threads), "-tb",
                             str(o.threads), "-c", str(requests * 4096), "-npp", str(PROMPT), "-ntg", str(tokens), "-npl",
                             str(requests), "--output-format", "jsonl"], check=True, capture_output=True, text=True).stdout
    answer = next(json.loads(line) for line in output.splitlines() if line.startswith("{"))
    return requests * tokens / (answer["t_pp"] + answer["t_tg"])


def adapters(o, model, rank, count):
    folder = f"{o.work}/{os.path.basename(model)}"
    os.makedirs(folder, exist_ok=True)
    subprocess.run([f"{o.build}/bench/bench-make-adapters", model, folder, str(rank), str(count)],
                   check=True)
    return f"{folder}/r{rank}-"


def one_stream(o):
    print("\n### One stream, against llama-bench\n")
    print("| model | what | inference, tok/s | llama-bench, tok/s | ratio |\n|---|---|---|---|---|")
    for name, model in o.models:
        d = Driver(o, model)
        ours, theirs = {"decode": [], "prefill": []}, {"decode": [], "prefill": []}
        for _ in range(o.rounds):
            answer = d.ask("decode", 128)
            ours["decode"].append(answer["tokens_per_second"])
            theirs["decode"].append(llama_bench(o, model, 0, 128))
            d.ask("prefill", 512, -1)  # llama-bench warms up too
            answer = d.ask("prefill", 512, -1)
            ours["prefill"].append(answer["prompt_tokens"] / answer["ms"] * 1e3)
            theirs["prefill"].append(llama_bench(o, model, 512, 0))
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
    for name, model in o.models:
        d, server = Driver(o, model), Server(o, model)
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
    for name, model in o.models:
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
    output = subprocess.run([f"{o.build}/bench/bench-mask-cost", o.models[0][1]], check=True, capture_output=True,
                            text=True).stdout
    for line in map(json.loads, output.splitlines()):
        if "schema" in line:
            m = line["mask_us"]
            print(f"| {line['schema']} | {m['mean']} | {m['median']} | {m['most']} | {line['compile_us']} |")


def eight_requests(o):
    print("\n### Eight requests at once, against llama-server\n")
    print("| model | adapters | inference, tok/s | llama-server, tok/s | ratio | of the base batch |")
    print("|---|---|---|---|---|---|")
    for name, model in o.models:
        prefix = adapters(o, model, 8, 8)
        d = Driver(o, model)
        d.ask("register", 8, prefix, 8)
        plain = Server(o, model)
        with_adapters = Server(o, model, [f"{prefix}{i}.gguf" for i in range(8)])
        ours, theirs = {0: [], 1: [], 8: []}, {0: [], 1: [], 8: []}
        for n in (0, 1, 8):
            d.total(8, n, 8)
            (with_adapters if n else plain).total(8, n, 8)
        for _ in range(o.rounds):
            for n in (0, 1, 8):
                ours[n].append(d.total(8, n))
                theirs[n].append((with_adapters if n else plain).total(8, n))
        for n, label in ((0, "none"), (1, "one, rank 8"), (8, "eight, rank 8")):
            print(f"| {name} | {label} | {spread(ours[n])} | {spread(theirs[n])} | "
                  f"{ratio(ours[n], theirs[n]):.2f} | {ratio(ours[n], ours[0]):.2f} |", flush=True)
        for p in (d, plain, with_adapters):
            p.close()


def batches(o):
    print("\n### Requests at once without adapters, against llama-batched-bench\n")
    print("| model | requests | inference, tok/s | llama-batched-bench, tok/s | ratio |\n|---|---|---|---|---|")
    for name, model in o.models:
        d = Driver(o, model)
        for requests in (4, 8, 16):
            ours, theirs = [], []
            d.total(requests, 0, 8)
            for _ in range(o.rounds):
                ours.append(d.total(requests, 0))
                theirs.append(llama_batched_bench(o, model, requests, TOKENS))
            print(f"| {name} | {requests} | {spread(ours)} | {spread(theirs)} | {ratio(ours, theirs):.2f} |", flush=True)
        d.close()


def curve(o):
    counts = (1, 2, 4, 8, 16)
    print("\n### Requests × adapters, all linear layers: tokens a second, and of the base batch\n")
    print("| model | rank | requests | base | " + " | ".join(f"{n} adapters" for n in counts) + " |")
    print("|---|---|---|---|" + "---|" * len(counts))
    for name, model in o.models:
        for rank in (8, 16):
            prefix = adapters(o, model, rank, 16)
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
    for name, model in o.models:
        for rank in (8, 16):
            d = Driver(o, model)
            d.ask("register", 1, adapters(o, model, rank, 1), 1)
            base, adapted = [], []
            d.ask("prefill", 512, 0)
            for _ in range(o.rounds):
                base.append(d.ask("prefill", 512, -1)["ms"])
                adapted.append(d.ask("prefill", 512, 0)["ms"])
            d.close()
            print(f"| {name} | {rank} | {spread(base)} | {spread(adapted)} | "
                  f"{ratio(adapted, base):.3f} |", flush=True)


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
    for name, model in o.models:
        prefix = adapters(o, model, 8, 8)
        base, adapted, register = first_tokens(o, model, prefix)
        above = statistics.median(a - b for a, b in zip(adapted, base))
        print(f"| {name} | inference, base | {spread(base, 2)} | |")
        print(f"| {name} | inference, another of 1000 adapters each time "
              f"({register:.0f} ms to register them) | {spread(adapted, 2)} | {above:.2f} |")
        if o.python:
            output = subprocess.run([o.python, "-c", RELOAD, model, prefix, "10", str(o.threads)],
                                    check=True, capture_output=True, text=True).stdout
            reload = [float(line) for line in output.split()]
            above = statistics.median(reload) - statistics.median(base)
            print(f"| {name} | llama-cpp-python, a new Llama(lora_path=…) each time | "
                  f"{spread(reload, 1)} | {above:.1f} |", flush=True)


def loading(o):
    print("\n### Loading a rank-8 PEFT adapter on all linear layers\n")
    print("| model | load, ms | time between tokens, ms: mean / longest | while loading, longest |")
    print("|---|---|---|---|")
    for name, model in o.models:
        path = adapters(o, model, 8, 1) + "0"
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
    model = o.models[0][1]
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
                rows[2].append(llama_bench(o, model, 0, BUSY_TOKENS))
                rows[3].append(llama_bench(o, model, 0, BUSY_TOKENS, 1))
        idle = idle or statistics.median(rows[0])
        print(f"| {n} | " + " | ".join(spread(r) for r in rows) +
              f" | {statistics.median(rows[0]) / idle:.2f} | {ratio(rows[0], rows[1]):.2f} |", flush=True)
    for d in drivers:
        d.close()


SECTIONS = {"one": one_stream, "batches": batches, "eight": eight_requests, "curve": curve, "prefill": prefill,
            "thousand": thousand, "loading": loading, "token": token_cost, "busy": busy,
            "schema": constrained, "masks": masks, "lookup": lookup}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--build", required=True)
    p.add_argument("--peers", help="for all sections but lookup and masks")
    p.add_argument("--model", required=True, action="append", metavar="NAME=GGUF", help="may be given more than once")
    p.add_argument("--only", default=",".join(SECTIONS))
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--python", help="a Python with llama-cpp-python, for the reload row")
    o = p.parse_args()
    if not o.peers and set(o.only.split(",")) - {"lookup", "masks"}:
        p.error("--peers is needed for these sections")
    o.models = [tuple(word.split("=", 1)) for word in o.model]
    with tempfile.TemporaryDirectory() as o.work:
        for name in o.only.split(","):
            SECTIONS[name](o)


main()
