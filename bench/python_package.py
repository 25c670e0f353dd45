#!/usr/bin/env python3
"""The Python package beside the C library under it, AsyncOpenAI and llama-cpp-python.

usage: bench/python_package.py BUILD ROUNDS PYTHON MODEL [PART]...      over, wake, openai, import, first

PYTHON has the package (from its wheel), openai and, for the last table, llama_cpp. BUILD has the bench's
programs; MODEL is a GGUF file. In each round every kind runs once; a line has the median of the rounds with the
lowest and the highest, a ratio or a difference is the median of the rounds' own.
"""
import json
import os
import statistics
import subprocess
import sys

from servers_common import Server, environment, program

here = os.path.dirname(os.path.abspath(__file__))
build, rounds, python, model = os.path.abspath(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]


def ask(*command):
    return json.loads(subprocess.check_output([str(w) for w in command], text=True, env=environment))


def package(url, requests, in_flight, kind):
    return ask(python, os.path.join(here, "python_client.py"), url, requests, in_flight, kind)


def openai(url, requests, in_flight, kind):
    return ask(python, os.path.join(here, "openai_client.py"), url, requests, in_flight, kind)


def in_c(url, requests, in_flight):
    return ask(program(build, "chat-client"), url, "cpu", requests, in_flight)


def spread(values, digits=1):
    return "%.*f (%.*f – %.*f)" % (digits, statistics.median(values), digits, min(values), digits, max(values))


def row(name, values, unit, target, digits=1):
    print("| %s | %s %s | %s |" % (name, spread(values, digits), unit, target), flush=True)


def over_the_c_call():
    whole, token = [], []
    with Server(build, 0) as port:
        url = "http://127.0.0.1:%s/v1" % port
        for _ in range(rounds):
            c = in_c(url, 4000, 32)["cpu_us"]
            whole.append(package(url, 2000, 32, "whole")["cpu_us"] - c)
    with Server(build, 1000) as port:  # a packet a token: each is an event of its own
        url = "http://127.0.0.1:%s/v1" % port
        for _ in range(rounds):
            c = in_c(url, 1000, 64)["cpu_us"]
            p = package(url, 1000, 64, "stream")
            token.append((p["cpu_us"] - c) / 64)
    row("a request over the C call, 32 in flight", whole, "µs CPU", "≤ 60")
    row("a streamed token over the C call, 64 streams", token, "µs CPU", "≤ 8")


def a_wake():
    values = []
    with Server(build, 2000) as port:
        url = "http://127.0.0.1:%s/v1" % port
        for _ in range(rounds):
            c = in_c(url, 16, 1)["cpu_us"]
            p = package(url, 16, 1, "pieces")
            values.append((p["cpu_us"] - c) / max(p["wakes"], 1))
    row("a wake, one stream, over the C call", values, "µs CPU", "≤ 80")


def beside_openai():
    for kind, name, target in (("whole", "unstreamed", 1 / 5), ("stream", "streamed", 1 / 12)):
        ratios, ours, theirs = [], [], []
        with Server(build, 0) as port:
            url = "http://127.0.0.1:%s/v1" % port
            for _ in range(rounds):
                ours.append(package(url, 3000, 1000, kind)["cpu_us"])
                theirs.append(openai(url, 1000, 1000, kind)["cpu_us"])
                ratios.append(ours[-1] / theirs[-1])
        row("1,000 at once, %s: CPU a request" % name, ours, "µs", "")
        row("the same with AsyncOpenAI", theirs, "µs", "")
        row("ratio", ratios, "", "≤ %.3f" % target, 3)


IMPORT = """
import time
import asyncio, ctypes, dataclasses, logging
begin = time.perf_counter()
import %s
print(time.perf_counter() - begin)
"""


def imports():
    ours, theirs = [], []
    for _ in range(max(rounds, 5)):
        for module, values in (("inference", ours), ("openai", theirs)):
            values.append(1e3 * float(subprocess.check_output([python, "-c", IMPORT % module], text=True)))
    row("import inference", ours, "ms", "≤ 40")
    row("import openai", theirs, "ms", "")


OURS = """
import sys, time, inference
for chunk in inference.LlamaCppProvider(sys.argv[1], n_ctx=4096, n_threads=2).sync.stream(
        "Once upon a time", "m", max_tokens=1, temperature=0):
    print(time.time(), flush=True)
    break
"""
OURS_ASYNC = """
import asyncio, sys, time, inference
async def main():
    async for chunk in inference.LlamaCppProvider(sys.argv[1], n_ctx=4096, n_threads=2).stream(
            "Once upon a time", "m", max_tokens=1, temperature=0):
        print(time.time(), flush=True)
asyncio.run(main())
"""
THEIRS = """
import sys, time
from llama_cpp import Llama
model = Llama(sys.argv[1], n_ctx=4096, n_threads=2, verbose=False)
for chunk in model("Once upon a time", max_tokens=1, temperature=0, stream=True):
    print(time.time(), flush=True)
    break
"""


def first_token():
    import time

    if subprocess.run([python, "-c", "import llama_cpp"], capture_output=True).returncode:
        print("| first token from process start | llama-cpp-python is not there | ≤ 1/3 |")
        return
    ours, awaited, theirs = [], [], []
    for _ in range(max(rounds, 3)):
        for code, values in ((OURS, ours), (OURS_ASYNC, awaited), (THEIRS, theirs)):
            begin = time.time()
            out = subprocess.run([python, "-c", code, model], check=True, capture_output=True, text=True).stdout
            values.append(float(out.split()[0]) - begin)
    row("process start to first token, provider.sync", ours, "s", "", 3)
    row("the same by asyncio", awaited, "s", "", 3)
    row("the same with llama-cpp-python", theirs, "s", "", 3)
    row("ratio, both without asyncio", [a / b for a, b in zip(ours, theirs)], "", "≤ 0.333", 3)
    row("ratio by asyncio", [a / b for a, b in zip(awaited, theirs)], "", "", 3)


PARTS = {"over": over_the_c_call, "wake": a_wake, "openai": beside_openai, "import": imports, "first": first_token}
print("\n### The Python package\n\n| what | median (lowest – highest) | target |\n|---|---|---|", flush=True)
for part in sys.argv[5:] or PARTS:
    PARTS[part]()
