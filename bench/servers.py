#!/usr/bin/env python3
"""The vllm provider through the public API, and the HTTP client under it, beside a bare libcurl loop
and beside the openai package's AsyncOpenAI: CPU time, latency, memory.

usage: bench/servers.py BUILD [ROUNDS [PYTHON]]   BUILD: where `make bench` built; ROUNDS: 7
                                               PYTHON: one that has openai, for its rows

Kinds: api: inf_generate_start with callbacks (bench/chat_client.c). ours: the HTTP client and its SSE
parser; ours-bytes: without the parser; bare: a curl-multi loop that parses nothing
(bench/http_client.c). openai: AsyncOpenAI, streaming and not (bench/openai_client.py).

Each round runs each kind of a table once; a line has the median of the rounds with the lowest and the
highest, and the medians of the rounds' own ratios and differences. The last table needs a descriptor
limit somewhat above 10,000 (`ulimit -n`), here and for the server.
"""
import json, os, statistics, subprocess, sys

from servers_common import Server, environment, program

here = os.path.dirname(os.path.abspath(__file__))
build = os.path.abspath(sys.argv[1])
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
python = sys.argv[3] if len(sys.argv) > 3 else None

def client(kind, what, port, requests, *numbers):
    url = f"http://127.0.0.1:{port}/v1"
    if kind == "api":
        command = [program(build, "chat-client"), url, what, requests, *numbers]
    elif kind.startswith("openai"):  # a fifth of the requests: it has that much more to do
        command = [python, os.path.join(here, "openai_client.py"), url, requests // 5, *numbers,
                   "stream" if kind == "openai" else "whole"]
    else:
        command = [program(build, "http-client"), kind, what, port, requests, *numbers]
    return json.loads(subprocess.check_output([str(w) for w in command], text=True, env=environment))


def table(title, kinds, what, pause_us, numbers, fields, peer="bare"):
    print(f"\n{title}")
    results = {kind: [] for kind in kinds}
    with Server(build, pause_us) as port:
        for _ in range(rounds):
            for kind in kinds:
                results[kind].append(client(kind, what, port, *numbers))
    for name in fields:
        peers = [r[name] for r in results[peer]]
        for kind in kinds:
            values = [r[name] for r in results[kind]]
            ratio = statistics.median(v / p for v, p in zip(values, peers))
            more = statistics.median(v - p for v, p in zip(values, peers))
            print(f"  {name:10} {kind:12} {statistics.median(values):9.1f}"
                  f"   ({min(values):.1f} .. {max(values):.1f})"
                  f"   {ratio:.2f} of {peer}, {more:+.1f}", flush=True)


print(f"{rounds} rounds, the kinds of a table in turn; requests of 64 tokens, each written by itself")
if python:
    table("CPU, us a request, as fast as they come, 32 in flight, beside AsyncOpenAI",
          ["api", "openai", "openai-whole"], "cpu", 0, (1500, 32), ["cpu_us"], peer="api")
table("CPU, us a request, a packet a token, 32 in flight", ["api", "ours", "ours-bytes", "bare"],
      "cpu", 1000, (1000, 32), ["cpu_us"])
table("CPU, us a request, as fast as they come, 32 in flight", ["api", "ours", "ours-bytes", "bare"],
      "cpu", 0, (4000, 32), ["cpu_us"])
table("Latency, us from due to done, 1000 requests/s, as fast as they come",
      ["api", "ours", "bare"], "rate", 0, (2000, 1000), ["median_us", "p99_us"])
with Server(build, 0) as port:
    print("\n10000 streams in flight from one context")
    print("  " + json.dumps(client("ours", "hold", port, 10000)))
