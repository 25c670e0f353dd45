#!/usr/bin/env python3
"""The HTTP client's CPU time, latency and memory beside a bare libcurl loop.

usage: bench/http_cpu.py BUILD [RUNS]     BUILD: a configured build folder; RUNS: 7

Builds the server and the driver, runs each kind RUNS times in turn, prints medians with their
spread, and the ratios. The last table needs a descriptor limit above 10,000 for each process
(`ulimit -n`).
"""
import json, os, statistics, subprocess, sys

here = os.path.dirname(os.path.abspath(__file__))
build = os.path.abspath(sys.argv[1])
runs = int(sys.argv[2]) if len(sys.argv) > 2 else 7
server_program = os.path.join(build, "bench", "bench-http-server")
client_program = os.path.join(build, "bench", "bench-http-client")


def compile_all():
    subprocess.check_call(["cmake", "--build", build, "--target", "bench-http-server", "bench-http-client"],
                          stdout=subprocess.DEVNULL)


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


compile_all()
table("CPU, us a request of 64 tokens, a packet each, 32 in flight", ["ours", "ours-bytes", "bare"],
      "cpu", 1000, (1500, 32), ["cpu_us"])
table("CPU, us a request of 64 tokens, as fast as they come, 32 in flight", ["ours", "ours-bytes", "bare"],
      "cpu", 0, (4000, 32), ["cpu_us"])
table("Latency, us from due to done, 1000 requests/s of 64 tokens, as fast as they come",
      ["ours", "bare"], "rate", 0, (2000, 1000), ["median_us", "p99_us"])
with Server(0) as port:
    print("\n10000 streams in flight from one context")
    print("  " + json.dumps(client("ours", "hold", port, 10000)))
