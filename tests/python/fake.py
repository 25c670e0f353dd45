"""tests/fake/server.py as a process, for the tests in Python: a vLLM or an Ollama on loopback."""

import json
import os
import subprocess
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TRANSCRIPTS = os.path.join(TESTS, "live", "transcripts")


class Fake:
    def __init__(self, kind):
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(TESTS, "fake", "server.py"), kind, TRANSCRIPTS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self.process.stdout.readline())
        self.url = "http://127.0.0.1:%d/v1" % self.port

    def order(self, do, **more):
        self.process.stdin.write(json.dumps(dict(more, do=do)) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def set(self, **what):
        self.order("set", **what)

    def requests(self):
        """Since the last time this was asked."""
        return self.order("state")["requests"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
