#!/usr/bin/env python3
"""Two builds of this library against each other: what a change cost or gained.

    bench/compare.py --before BUILD --after BUILD --model GGUF [--rounds N] [--threads N]
                     [--before-kernels none] [--rows TEXT]...

--before-kernels: INFERENCE_KERNELS of the first (with "none" and one build twice: ggml's matmuls against
ours). --rows: only those whose name has one of the TEXTs in it.

BUILD: where `make bench` (or `make build` and the target `bench`) built. Every row interleaves the two,
round after round, with a pause before each; a cell is the median of the rounds with the lowest and the
highest, the ratio the median of the rounds' own ratios: above 1, after is the larger. No peers are needed.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time


# ggml's idle workers spin for up to 0.4 s after a graph: whoever is measured then shares a core.
PAUSE_S = 0.6


class Side:
    def __init__(self, build, o, kernels=None):
        self.build = os.path.abspath(build)
        environment = {**os.environ, **({"INFERENCE_KERNELS": kernels} if kernels else {})}
        self.process = subprocess.Popen([self.program("driver"), o.model, str(o.threads)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment)

    def program(self, name):
        return f"{self.build}/bench/bench-{name}"

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def tokens_per_second(self, requests, adapters, tokens):
        answer = self.ask("generate", requests, adapters, tokens, 16)
        return answer["tokens"] / answer["seconds"]

    def middle(self, n, *words):
        return statistics.median(self.ask(*words)["ms"] for _ in range(n))

    def token_cost(self, streams):
        output = subprocess.run([self.program("token-cost"), str(streams)], check=True,
                                capture_output=True).stdout
        return json.loads(output)["us_per_token"]

    def remote_cost(self, pause_us):
        clean = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
        with subprocess.Popen([self.program("http-server"), str(pause_us)], stdout=subprocess.PIPE,
                              text=True) as server:
            url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
            output = subprocess.run([self.program("chat-client"), url, "cpu", "1000", "32"],
                                    check=True, capture_output=True, env=clean).stdout
            server.kill()
        return json.loads(output)["cpu_us"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def rows(prefix):
    yield "decode, one stream, tok/s", lambda s: s.ask("decode", 64)["tokens_per_second"]
    yield "prefill of 512, ms", lambda s: s.ask("prefill", 512, -1)["ms"]
    yield "prefill of 512 under an adapter, ms", lambda s: s.ask("prefill", 512, 0)["ms"]
    for n in (4, 8, 16):
        yield f"{n} requests, tok/s", lambda s, n=n: s.tokens_per_second(n, 0, 32)
    for n in (0, 1, 8):
        yield (f"8 requests, {n} adapters, tok/s",
               lambda s, n=n: s.tokens_per_second(8, n, 48))
    yield "16 requests, 16 adapters, tok/s", lambda s: s.tokens_per_second(16, 16, 24)
    yield "first token, base, ms", lambda s: s.middle(10, "first", -1)
    yield "first token, one of 1000 adapters, ms", lambda s: s.middle(10, "first", 777)
    yield "loading a rank-8 PEFT adapter, ms", lambda s: s.middle(10, "load", f"{prefix}0")
    yield ("longest gap between tokens while loading 5, ms",
           lambda s: s.ask("stall", f"{prefix}0", 5)["longest_loading_ms"])
    for streams in (1, 8, 16):
        yield (f"own CPU a streamed token, {streams} streams, us",
               lambda s, streams=streams: s.token_cost(streams))
    for pause in (0, 1000):
        yield (f"remote: own CPU a request of 64 tokens, {pause} us between them, us",
               lambda s, pause=pause: s.remote_cost(pause))


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} – {max(values):.2f})"


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--before", required=True)
    p.add_argument("--after", required=True)
    p.add_argument("--model", required=True)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--before-kernels")
    p.add_argument("--rows", action="append", default=[])
    p.add_argument("--threads", type=int, default=os.cpu_count())
    o = p.parse_args()
    sides = [Side(o.before, o, o.before_kernels), Side(o.after, o)]
    with tempfile.TemporaryDirectory() as work:
        subprocess.run([sides[1].program("make-adapters"), o.model, work, "8", "16"], check=True)
        prefix = f"{work}/r8-"
        chosen = [(what, measure) for what, measure in rows(prefix)
                  if not o.rows or any(text in what for text in o.rows)]
        for side in sides:
            if any("adapter" in what or "1000" in what for what, _ in chosen):
                side.ask("register", 1000, prefix, 16)
            side.ask("decode", 16)
        print("| what | before | after | after / before |\n|---|---|---|---|")
        for what, measure in chosen:
            values = ([], [])
            for i in range(o.rounds):
                for k in (0, 1) if i % 2 else (1, 0):
                    time.sleep(PAUSE_S)
                    values[k].append(measure(sides[k]))
            ratio = statistics.median(b / a for a, b in zip(*values))
            print(f"| {what} | {spread(values[0])} | {spread(values[1])} | {ratio:.3f} |", flush=True)
    for side in sides:
        side.close()


main()
