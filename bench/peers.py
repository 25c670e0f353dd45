"""The sides of a comparison: this library through bench/driver.c, and its peers, each run as its documentation
says to run it best. `o` has what the command line said: build, peers, threads, work (a folder to write in), and
python (one with llama-cpp-python), python_server (its example server) and mistralrs where they are there.
"""
import concurrent.futures
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

TOKENS = 64
PROMPT = 16
HERE = os.path.dirname(os.path.abspath(__file__))


def spread(values, digits=1):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} – {max(values):.{digits}f})"


def ratio(ours, theirs):
    return statistics.median(a / b for a, b in zip(ours, theirs))


def adapters(o, gguf, rank, count):
    """The prefix of so many adapters for the model: PREFIX<i> is a PEFT directory, PREFIX<i>.gguf the same."""
    folder = f"{o.work}/{os.path.basename(gguf)}"
    os.makedirs(folder, exist_ok=True)
    subprocess.run([f"{o.build}/bench/bench-make-adapters", gguf, folder, str(rank), str(count)], check=True)
    return f"{folder}/r{rank}-"


# ---- programs that read a command a line and answer with a JSON line

class Conversation:
    def __init__(self, command, **environment):
        self.name = os.path.basename(command[0])
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={**os.environ, **environment})

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended while asked: {words}")
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


class Driver(Conversation):
    """bench/driver.c: the library."""

    def __init__(self, o, model, threads=None, dtype=None):
        super().__init__([f"{o.build}/bench/bench-driver", model, threads or o.threads, *([dtype] if dtype else [])])


class Mistral(Conversation):
    """bench/mistralrs. It merges an adapter when it loads, and takes it from the Hugging Face cache alone."""

    def __init__(self, o, model, *more, adapter=None):
        environment = {"RAYON_NUM_THREADS": str(o.threads)}
        if adapter:
            more += ("--adapter", "bench/adapter")
            environment["HF_HUB_CACHE"] = hub_cache(o, adapter)
        super().__init__([o.mistralrs, model, *more], **environment)

    def total(self, requests, adapters=0, tokens=TOKENS):
        answer = self.ask("generate", requests, tokens, PROMPT)
        return answer["tokens"] / answer["seconds"]


def hub_cache(o, adapter):
    """A Hugging Face cache that has the adapter as bench/adapter."""
    cache = tempfile.mkdtemp(dir=o.work)
    repository = f"{cache}/models--bench--adapter"
    shutil.copytree(adapter, f"{repository}/snapshots/0")
    os.makedirs(f"{repository}/refs")
    with open(f"{repository}/refs/main", "w", encoding="utf-8") as f:
        f.write("0")
    path = f"{repository}/snapshots/0/adapter_config.json"
    with open(path, encoding="utf-8") as f:
        config = json.load(f)
    if isinstance(config["target_modules"], str):  # it reads lists alone
        config["target_modules"] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    with open(path, "w", encoding="utf-8") as f:
        json.dump(config, f)
    return cache


# ---- HTTP servers

class HttpServer:
    """One with eight slots of 4096 tokens; `health` is a path that answers when it is there."""

    def __init__(self, command, port, health):
        self.port = port
        self.name = os.path.basename(command[0])
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self.pool = concurrent.futures.ThreadPoolExecutor(16)
        self.calls = 0
        for _ in range(1200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{health}", timeout=300).read()
                return
            except OSError:
                if self.process.poll() is not None:
                    self.log.seek(0)
                    sys.exit(self.log.read().decode()[-2000:])
                time.sleep(0.1)
        sys.exit(f"{self.name} does not start")

    @staticmethod
    def free_port():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]

    def prompt(self):
        self.calls += 1
        words = [" the", " of", " and", " to", " in", " is", " that", " for"]
        return "".join(words[(self.calls * 7 + i * 3 + i // 8) % 8] for i in range(PROMPT))

    def post(self, path, body):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=600))

    def total(self, requests, adapters, tokens=TOKENS):
        begin = time.perf_counter()
        done = list(self.pool.map(lambda i: self.complete(i % adapters if adapters else -1, tokens),
                                  range(requests)))
        seconds = time.perf_counter() - begin
        if sum(done) != requests * tokens:
            sys.exit(f"{self.name} ended early: {done}")
        return sum(done) / seconds

    def close(self):
        self.process.terminate()
        self.process.wait()


class Server(HttpServer):
    """llama-server."""

    def __init__(self, o, gguf, loras=()):
        port = self.free_port()
        command = [f"{o.peers}/bin/llama-server", "-m", gguf, "--host", "127.0.0.1", "--port", str(port), "-np", "8",
                   "-c", str(8 * 4096), "-t", str(o.threads), "-tb", str(o.threads), "--no-webui", "--no-kv-unified"]
        for path in loras:
            command += ["--lora", path]
        if loras:
            command += ["--lora-init-without-apply"]
        self.n_adapters = len(loras)
        super().__init__(command, port, "/health")

    def complete(self, adapter, tokens):
        body = {"prompt": self.prompt(), "n_predict": tokens, "temperature": 0, "ignore_eos": True,
                "cache_prompt": False}
        if self.n_adapters:
            body["lora"] = [{"id": i, "scale": 1.0 if i == adapter else 0.0} for i in range(self.n_adapters)]
        return self.post("/completion", body)["tokens_predicted"]

    def constrained(self, tokens, schema):
        """Tokens a second of one request whose text must be JSON of the schema."""
        body = {"prompt": "The people of the village, as JSON:", "n_predict": tokens + 1, "temperature": 0,
                "json_schema": schema, "cache_prompt": False}
        return self.post("/completion", body)["timings"]["predicted_per_second"]


class PythonServer(HttpServer):
    """llama-cpp-python's example server, which decodes requests together; its adapters are those of its start."""

    def __init__(self, o, gguf, loras=()):
        port = self.free_port()
        config = {"server": {"port": port},
                  "model": {"path": gguf, "alias": "model", "n_ctx": 8 * 4096, "n_seq_max": 8, "threads": o.threads,
                            "threads_batch": o.threads, "loras": [{"path": path} for path in loras]}}
        self.ends = end_tokens(o, gguf)
        path = f"{o.work}/server-{port}.json"
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f)
        super().__init__([o.python, o.python_server, "-C", path], port, "/healthz")

    def complete(self, _adapter, tokens):
        body = {"model": "model", "prompt": self.prompt(), "max_tokens": tokens, "temperature": 0,
                "logit_bias": {str(token): -100.0 for token in self.ends}}
        return self.post("/v1/completions", body)["usage"]["completion_tokens"]


class PythonInTurn(Conversation):
    """llama-cpp-python's Llama, which has one sequence: request after request, its adapter set before each."""

    def __init__(self, o, gguf):
        super().__init__([o.python, f"{HERE}/llama_cpp_python.py", gguf, o.threads])


END_TOKENS = """
import sys, llama_cpp
llama = llama_cpp.Llama(sys.argv[1], vocab_only=True, verbose=False)
vocab = llama_cpp.llama_model_get_vocab(llama._model.model)
print(*[t for t in range(llama.n_vocab()) if llama_cpp.llama_vocab_is_eog(vocab, t)])
"""


def end_tokens(o, gguf):
    done = subprocess.run([o.python, "-c", END_TOKENS, gguf], check=True, capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]


# ---- llama.cpp's programs

def llama_bench(o, gguf, prompt, tokens, threads=None):
    """Tokens a second of one repetition after its own warm-up."""
    output = subprocess.run([f"{o.peers}/bin/llama-bench", "-m", gguf, "-t", str(threads or o.threads), "-p",
                             str(prompt), "-n", str(tokens), "-r", "1", "-o", "json"], check=True,
                            capture_output=True).stdout
    return json.loads(output)[0]["avg_ts"]


def llama_batched_bench(o, gguf, requests, tokens):
    """Tokens a second of so many sequences at once, the prompts' time included, after its own warm-up."""
    output = subprocess.run([f"{o.peers}/bin/llama-batched-bench", "-m", gguf, "-t", str(o.threads), "-tb",
                             str(o.threads), "-c", str(requests * 4096), "-npp", str(PROMPT), "-ntg", str(tokens), "-npl",
                             str(requests), "--output-format", "jsonl"], check=True, capture_output=True, text=True).stdout
    answer = next(json.loads(line) for line in output.splitlines() if line.startswith("{"))
    return requests * tokens / (answer["t_pp"] + answer["t_tg"])
