#!/usr/bin/env python3
"""Measure the transformers provider on a checkpoint of Qwen2.5-0.5B's shape, with random weights in BF16.

    bench/checkpoints.py BUILD PEERS TOKENIZER [ROUNDS [PYTHON [LLAMA_CPP]]]

TOKENIZER: a published Qwen tokenizer's directory. PYTHON: one with transformers and torch, for their rows.
LLAMA_CPP: a llama.cpp source tree, whose convert_hf_to_gguf.py writes (with PYTHON) the file that llama-bench
and the GGUF front door get. What is not given is left out. All sides of a round run one after another.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from random_checkpoint import SHAPES, make_adapter, make_checkpoint

PROMPT = "The tide comes in when"
DECODED, PREFILLED = 32, 512

TRANSFORMERS = """
import os, sys
os.environ["HF_HUB_OFFLINE"] = "1"
import torch, transformers
torch.set_num_threads(int(sys.argv[3]))
tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype="auto")
ids = tokenizer(sys.argv[2], return_tensors="pt")
out = model.generate(**ids, max_new_tokens=1, do_sample=False)
print(out[0, -1].item(), flush=True)
if len(sys.argv) > 4:
    import time
    prompt = torch.arange(1000, 1000 + int(sys.argv[5]))[None]
    with torch.no_grad():
        model(prompt)
        begin = time.perf_counter()
        model(prompt)
        print(time.perf_counter() - begin)
        begin = time.perf_counter()
        model.generate(prompt[:, :16], max_new_tokens=int(sys.argv[4]), min_new_tokens=int(sys.argv[4]), do_sample=False)
        print(time.perf_counter() - begin)
"""


def spread(values, digits=1):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} – {max(values):.{digits}f})"


def ratio(ours, theirs):
    return statistics.median(a / b for a, b in zip(ours, theirs))


# ---- the sides

class Driver:
    """bench/driver.c: the library."""

    def __init__(self, build, *words):
        self.process = subprocess.Popen([f"{build}/bench/bench-driver", *map(str, words)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def wall(command):
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin


def llama_bench(peers, model, threads):
    """Prefill and decode, tokens a second, as llama-bench has them."""
    done = subprocess.run([f"{peers}/bin/llama-bench", "-m", model, "-t", str(threads), "-p", str(PREFILLED), "-n",
                           str(DECODED), "-fa", "1", "-r", "1", "-o", "json"], check=True, capture_output=True)
    found = {("prefill" if row["n_prompt"] else "decode"): row["avg_ts"] for row in json.loads(done.stdout)}
    return found["prefill"], found["decode"]


def first_token(build, model, threads, *more):
    return [f"{build}/inference", "generate", "-m", str(model), "--threads", str(threads), "--quiet", "-n", "1",
            "--temperature", "0", "--no-stream", *more, "--prompt", PROMPT]


def row(what, values, theirs=None, digits=2):
    print(f"| {what} | {spread(values, digits)} | " + (f"{ratio(values, theirs):.2f}" if theirs else "") + " |", flush=True)


def table(title, columns):
    print(f"\n### {title}\n\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns), flush=True)


def speeds(build, model, rounds, threads):
    """(prefill, decode) of each round, tokens a second."""
    driver = Driver(build, model, threads)
    found = []
    for _ in range(rounds):
        prefill = driver.ask("prefill", PREFILLED, -1)
        decode = driver.ask("decode", DECODED)
        found.append((PREFILLED / prefill["ms"] * 1e3, decode["tokens_per_second"]))
    driver.close()
    return found


def main():
    build, peers, tokenizer = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    python = sys.argv[5] if len(sys.argv) > 5 else None
    tree = sys.argv[6] if len(sys.argv) > 6 else None
    threads = os.cpu_count()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as scratch:
        measure(build, peers, tokenizer, rounds, python, tree, threads, Path(scratch))


def measure(build, peers, tokenizer, rounds, python, tree, threads, scratch):
    model, adapter, gguf = scratch / "model", scratch / "adapter", scratch / "model.gguf"
    make_checkpoint(model, tokenizer, SHAPES["0.5B"])
    make_adapter(adapter, SHAPES["0.5B"])
    size = (model / "model.safetensors").stat().st_size
    (scratch / "peer.py").write_text(TRANSFORMERS)
    if python and tree:
        subprocess.run([python, f"{tree}/convert_hf_to_gguf.py", str(model), "--outfile", str(gguf), "--outtype", "bf16"],
                       check=True, capture_output=True)
    has_gguf = gguf.exists()
    wall(first_token(build, model, threads))  # the page cache

    table("Process start to the first token, warm page cache", ["what", "s", "ratio to ours"])
    ours, front, theirs = [], [], []
    for _ in range(rounds):
        ours.append(wall(first_token(build, model, threads)))
        if has_gguf:
            front.append(wall(first_token(build, gguf, threads)))
        if python and len(theirs) < 3:
            theirs.append(wall([python, str(scratch / "peer.py"), str(model), PROMPT, str(threads)]))
    row("the checkpoint", ours)
    if front:
        row("the same weights as GGUF, by this command", front, ours)
    if theirs:
        row("transformers", theirs, ours[:len(theirs)])

    table("Speed, tokens a second", ["what", f"prefill of {PREFILLED}", "decode"])
    found = {}
    for _ in range(rounds):
        found.setdefault("the checkpoint", []).extend(speeds(build, model, 1, threads))
        if has_gguf:
            found.setdefault("the GGUF front door", []).extend(speeds(build, gguf, 1, threads))
            found.setdefault("llama-bench", []).append(llama_bench(peers, str(gguf), threads))
    if python:
        done = subprocess.run([python, str(scratch / "peer.py"), str(model), PROMPT, str(threads), str(DECODED),
                               str(PREFILLED)], check=True, capture_output=True, text=True).stdout.split()
        found["transformers (one run)"] = [(PREFILLED / float(done[-2]), DECODED / float(done[-1]))]
    for what, values in found.items():
        print(f"| {what} | {spread([v[0] for v in values])} | {spread([v[1] for v in values])} |", flush=True)

    table("Anonymous memory after a first request", ["what", "MiB", "of the weights"])
    driver = Driver(build, model, threads)
    driver.ask("decode", 8)
    kb = driver.ask("opened")["anonymous_kb"]
    print(f"| the checkpoint, window of 4096 | {kb / 1024:.0f} | {kb * 1024 / size:.3f} |", flush=True)

    table("Loading a rank-8 PEFT adapter (BF16) on all linear layers, ms", ["from", "ms"])
    for how, where in (("load", "the page cache"), ("memory", "memory")):
        print(f"| {where} | {spread([driver.ask(how, adapter)['ms'] for _ in range(10 * rounds)])} |", flush=True)
    driver.close()

    table("Loading with another dtype", ["dtype", "s", "GB/s of BF16"])
    for dtype in ("bfloat16", "q8_0", "q4_0", "q4_k"):
        seconds = []
        for _ in range(rounds):
            driver = Driver(build, model, threads, dtype)
            seconds.append(driver.ask("opened")["load_seconds"])
            driver.close()
        print(f"| {dtype} | {spread(seconds, 2)} | {size / statistics.median(seconds) / 1e9:.2f} |", flush=True)


main()
