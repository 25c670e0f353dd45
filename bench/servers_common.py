"""What the benchmarks of servers' clients share: the loopback server, and an environment without proxies."""

import os
import subprocess

environment = {k: v for k, v in os.environ.items()
               if "proxy" not in k.lower() and k != "VLLM_API_KEY"}


def program(build, name):
    return os.path.join(build, "bench", "bench-" + name)


class Server:
    """bench/http_server.c; entering gives its port."""

    def __init__(self, build, pause_us):
        self.process = subprocess.Popen([program(build, "http-server"), str(pause_us)],
                                        stdout=subprocess.PIPE, text=True)
        self.port = self.process.stdout.readline().strip()

    def __enter__(self):
        return self.port

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
