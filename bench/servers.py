#!/usr/bin/env python3
"""The HTTP client's CPU time, latency and memory beside a bare libcurl loop, and the vllm provider's
beside the openai package's AsyncOpenAI.

usage: bench/servers.py BUILD [RUNS [PYTHON]]     BUILD: where `make bench` built; RUNS: 7
                                               PYTHON: one that has openai, for the first table

Runs each kind RUNS times in turn, prints medians with their spread, and the ratios. The last table
needs a descriptor limit above 10,000 for each process (`ulimit -n`).
"""
import json, os, statistics, subprocess, sys

here = os.path.dirname(os.path.abspath(__file__))
build = os.path.abspath(sys.argv[1])
runs = int(sys.argv[2]) if len(sys.argv) > 2 else 7
python = sys.argv[3] if len(sys.argv) > 3 else None
server_program = os.path.join(build, "bench", "bench-http-server")
client_program = os.path.join(build, "bench", "bench-http-client")


class Server:
    def __init__(self, pause_us):
        self.process = subprocess.Popen([server_program, str(pause_us)], stdout=subprocess.PIPE,
                                        text=True)
        self.port = self.process.stdout.readline().strip()

    def __enter__(self):
        return self.port

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def client(kind, what, port, *numbers):
    out = subprocess.check_output([client_program, kind, what, port, *map(str, numbers)], text=True,
                                  env={k: v for k, v in os.environ.items() if "proxy" not in k.lower()})
    return json.loads(out)


def table(title, kinds, what, pause_us, numbers, field):
    print(f"\n{title}")
    results = {kind: [] for kind in kinds}
    with Server(pause_us) as port:
        for _ in range(runs):
            for kind in kinds:
                results[kind].append(client(kind, what, port, *numbers))
    for name in field:
        medians = {kind: statistics.median(r[name] for r in results[kind]) for kind in kinds}
        for kind in kinds:
            values = [r[name] for r in results[kind]]
            print(f"  {name:10} {kind:11} {medians[kind]:9.1f}   ({min(values):.1f} .. {max(values):.1f})"
                  f"   {medians[kind] / medians['bare']:.2f} of bare, {medians[kind] - medians['bare']:+.1f}")


def beside_openai():
    """CPU a request: ours streaming, openai's streaming and not."""
    commands = {"ours, streamed": [os.path.join(build, "bench", "bench-chat-client"), 1500, 32]}
    for kind in ("stream", "whole"):
        commands[f"openai, {kind}"] = [python, os.path.join(here, "openai_client.py"), 300, 32, kind]
    results = {name: [] for name in commands}
    with Server(0) as port:
        url = f"http://127.0.0.1:{port}/v1"
        for _ in range(runs):
            for name, command in commands.items():
                words = [*command[:-2], url, *command[-2:]] if name.startswith("ours") else \
                    [*command[:2], url, *command[2:]]
                out = subprocess.check_output([str(w) for w in words], text=True)
                results[name].append(json.loads(out)["cpu_us"])
    ours = statistics.median(results["ours, streamed"])
    print("\nCPU, us a request of 64 tokens, 32 in flight, through the public API")
    for name, values in results.items():
        print(f"  {name:15} {statistics.median(values):9.1f}   ({min(values):.1f} .. {max(values):.1f})"
              f"   {statistics.median(values) / ours:.1f} of ours")


if python:
    beside_openai()
table("CPU, us a request of 64 tokens, a packet each, 32 in flight", ["ours", "ours-bytes", "bare"],
      "cpu", 1000, (1500, 32), ["cpu_us"])
table("CPU, us a request of 64 tokens, as fast as they come, 32 in flight", ["ours", "ours-bytes", "bare"],
      "cpu", 0, (4000, 32), ["cpu_us"])
table("Latency, us from due to done, 1000 requests/s of 64 tokens, as fast as they come",
      ["ours", "bare"], "rate", 0, (2000, 1000), ["median_us", "p99_us"])
with Server(0) as port:
    print("\n10000 streams in flight from one context")
    print("  " + json.dumps(client("ours", "hold", port, 10000)))
