#!/usr/bin/env python3
"""A vLLM or an Ollama that is neither, on loopback, for the tests of the remote providers.

    server.py vllm|ollama|plain TRANSCRIPTS

Heads, chunks and error bodies are those that the real servers sent: they are taken out of the recorded
transcripts in TRANSCRIPTS/{vllm,ollama}/*.json, and only the names, texts and counts in them are
changed. What a model says is made up: a hash of the weights, the prompt and the position picks a word.
What was seen of vLLM and matters to its clients is kept: a name and a path that were used before answer
from the old weights' cache, whatever is there now.

Standard output gets the port, then one JSON line for each command that comes as a JSON line on
standard input; at its end the server ends.
    {"do":"state"}                        names loaded, requests seen
    {"do":"set","routes":false,...}       what the server is like (see Server.__init__)
    {"do":"next","path":P,"act":A,...}    the next request of path P is answered with A (see act())
    {"do":"look"}                         the same, and the requests are kept
    {"do":"forget"}                       adapters and caches are gone, connections are not
    {"do":"restart"}                      as a killed server that was started again
    {"do":"die"} {"do":"rise"}            the two halves of it
    {"do":"replay","file":F,"index":I}    the next POST gets F's answer I, byte for byte; the command's
                                          answer says what is in it ("expected"; null: no chat)
"""

import base64
import hashlib
import json
import os
import socket
import struct
import sys
import threading
import time

WORDS = ["Gravity", " is", " a", " the", " force", " of", " fox", " and", " über", " naïve", " 日本", " 🦊",
         ",", ".", "\n", " river", " blue", " seven", " \"quoted\"", " back\\slash", " light", " far"]
WINDOW = 2048


def bytes_of(piece):
    return base64.b64decode(piece["base64"]) if "base64" in piece else piece["text"].encode()


def dechunk(body):
    out = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        n = int(size.split(b";")[0] or b"0", 16)
        if n == 0:
            break
        out += rest[:n]
        body = rest[n + 2:]
    return out


class Recorded:
    """The exchanges of a folder of transcripts, to be found by what they are."""

    def __init__(self, folder):
        self.exchanges = []
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if not name.endswith(".json"):
                continue
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                for exchange in json.load(f)["exchanges"]:
                    self.add(exchange)

    def add(self, exchange):
        if "response" not in exchange:  # a note between two of them
            return
        raw = b"".join(bytes_of(p) for p in exchange["response"])
        head, _, body = raw.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 ") or exchange.get("end", "complete") != "complete":
            return
        if b"chunked" in head.lower():
            body = dechunk(body)
        try:
            asked = json.loads(exchange["request"].get("body") or "{}")
        except ValueError:
            asked = {}
        self.exchanges.append({"path": exchange["request"]["path"], "asked": asked, "head": head,
                               "status": int(head.split()[1]), "body": body})

    def find(self, path, status, says=b"", where=lambda exchange: True):
        for e in self.exchanges:
            if (e["path"] == path and e["status"] == status and says in e["body"] and
                    isinstance(e["asked"], dict) and where(e)):
                return e
        raise LookupError("no recorded answer of %s with %d %r" % (path, status, says))


def plain_stream(exchange):
    """A stream of one answer with several chunks of text, the counts, and nothing else."""
    asked = exchange["asked"]
    if not asked.get("stream") or asked.get("n", 1) != 1 or asked.get("logprobs"):
        return False
    shapes = events(exchange["body"])
    texts = [e for e in shapes if e.get("choices") and e["choices"][0]["delta"].get("content")]
    return len(texts) > 2 and any(e.get("usage") and not e["choices"] for e in shapes)


def events(body):
    return [json.loads(line[6:]) for line in body.decode().split("\n")
            if line.startswith("data: ") and line != "data: [DONE]"]


def expected(exchange):
    """What a recorded chat answer says, read with another parser than the one that is tested."""
    reader = Recorded.__new__(Recorded)
    reader.exchanges = []
    reader.add(exchange)
    if not reader.exchanges or exchange["request"]["method"] != "POST":
        return None
    path, status, body = (reader.exchanges[0][k] for k in ("path", "status", "body"))
    if path not in ("/api/chat", "/v1/chat/completions"):
        return None
    told = {"status": status, "text": "", "finish": None, "prompt": -1, "completion": -1,  # not told
            "logprobs": 0, "choices": 1, "error": False}
    if status != 200:
        return told
    if b"data: " in body:
        pieces = events(body)
    else:
        pieces = [json.loads(line) for line in body.decode().split("\n") if line]
    for piece in pieces:
        told["error"] = told["error"] or "error" in piece
        for choice in piece.get("choices", [piece] if "message" in piece else []):
            told["choices"] = max(told["choices"], choice.get("index", 0) + 1)
            said = choice.get("delta") or choice.get("message") or {}
            told["text"] += said.get("content") or ""
            told["finish"] = choice.get("finish_reason") or choice.get("done_reason") or told["finish"]
            logprobs = choice.get("logprobs") or []
            told["logprobs"] += len(logprobs if isinstance(logprobs, list) else logprobs["content"])
        usage = piece.get("usage") or {}
        told["prompt"] = usage.get("prompt_tokens", piece.get("prompt_eval_count", told["prompt"]))
        told["completion"] = usage.get("completion_tokens", piece.get("eval_count", told["completion"]))
    return told


class Connection:
    def __init__(self, server, sock):
        self.server, self.sock, self.buffer = server, sock, b""

    def read_request(self):
        while b"\r\n\r\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                return None
            self.buffer += data
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (l.partition(":") for l in lines[1:])}
        length = int(headers.get("content-length", "0"))
        while len(rest) < length:
            data = self.sock.recv(65536)
            if not data:
                return None
            rest += data
        self.buffer = rest[length:]
        method, path, _ = lines[0].split(" ", 2)
        return method, path, headers, rest[:length]

    def send(self, data):
        self.sock.sendall(data)

    def answer(self, recorded, change=lambda body: body):
        """A recorded answer whose body is changed; its length is made right."""
        body = change(recorded["body"])
        lines = [l for l in recorded["head"].split(b"\r\n")
                 if not l.lower().startswith((b"content-length:", b"transfer-encoding:"))]
        self.send(b"\r\n".join(lines + [b"content-length: %d" % len(body), b"", b""]) + body)

    def begin(self, recorded):
        self.send(recorded["head"] + b"\r\n\r\n")

    def chunk(self, data):
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self):
        self.send(b"0\r\n\r\n")

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Gone(Exception):
    """The connection is over."""


class Server:
    def __init__(self, kind, transcripts):
        self.kind = kind
        self.recorded = Recorded(os.path.join(transcripts, "vllm" if kind == "vllm" else "ollama"))
        self.lock = threading.Lock()
        self.acts, self.replay, self.log = [], [], []
        self.connections = set()
        self.delay = 0.001        # between tokens
        self.load_delay = 0.0
        self.routes = True        # runtime LoRA
        self.key = None           # an API key that is asked for
        self.base_root = "/models/base"
        self.hung = False         # connections and requests are taken, and never answered
        self.listed = True        # GET /v1/models lists what was loaded
        self.max_rank = 16
        self.take_all = True      # adapters that hold nothing sensible are taken, as vLLM does
        self.running = 0
        self.forget()
        self.port = 0
        self.rise()

    # ---- life

    def forget(self):
        self.adapters = {}        # name: path
        self.cache = {}           # (name, path): the weights the prefix cache was filled with

    def rise(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(1024)
        self.port = listener.getsockname()[1]
        self.listener = listener
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def die(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        with self.lock:
            open_now = list(self.connections)
        for connection in open_now:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)  # wakes who reads from it
            except OSError:
                pass
        self.forget()

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(Connection(self, sock),), daemon=True).start()

    def serve(self, c):
        with self.lock:
            self.connections.add(c)
        try:
            while True:
                request = c.read_request()
                if request is None:
                    break
                self.handle(c, *request)
        except (OSError, Gone):
            pass
        finally:
            with self.lock:
                self.connections.discard(c)
            try:
                c.sock.close()
            except OSError:
                pass

    # ---- requests

    def handle(self, c, method, path, headers, body):
        with self.lock:
            self.log.append({"path": path, "body": body.decode("utf-8", "replace"), "headers": headers})
            replay = self.replay.pop(0) if self.replay and method == "POST" else None
            act = next((a for a in self.acts if a["path"] == path), None)
            if act:
                self.acts.remove(act)
        while self.hung:
            time.sleep(0.02)
        if replay:
            for piece in replay["response"]:
                c.send(bytes_of(piece))
            if replay.get("end") == "server-closed":
                raise Gone()
            return
        if act and self.act(c, act):
            return
        if self.key and headers.get("authorization") != "Bearer " + self.key:
            c.send(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 24\r\ncontent-type: application/json\r\n"
                   b"\r\n{\"error\":\"Unauthorized\"}")
            return
        asked = json.loads(body or b"{}")
        route = getattr(self, self.kind + "_" + path.strip("/").replace("/", "_"), None)
        if route:
            route(c, asked)
        else:
            self.nothing(c)
        if act and act["act"] == "then-reset":
            raise Gone()

    def act(self, c, a):
        """Plays a fault; false: the request is answered all the same."""
        what = a["act"]
        if what == "raw":
            c.send(a["text"].encode("latin-1"))
            if a.get("repeat"):
                for _ in range(a["repeat"]):
                    c.send(a["piece"].encode("latin-1") * a.get("times", 1))
                    time.sleep(a.get("pause", 0))
            if a.get("then") == "reset":
                time.sleep(0.05)  # what was sent is to arrive
                c.reset()
            elif a.get("then") == "hang":
                time.sleep(a.get("seconds", 30))
            if a.get("then") != "keep":
                raise Gone()
        elif what == "reset":
            c.reset()
            raise Gone()
        elif what == "die":
            self.die()
            raise Gone()
        elif what == "wait":
            time.sleep(a["seconds"])
            return False
        elif what == "lose":      # it is done, and nobody is told
            asked = json.loads(self.log[-1]["body"])
            if a["path"].endswith("unload_lora_adapter"):
                self.adapters.pop(asked["lora_name"], None)
            else:
                self.adapters[asked["lora_name"]] = asked["lora_path"]
            c.reset()
            raise Gone()
        return True

    def nothing(self, c):
        if self.kind == "vllm":
            c.answer({"head": b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json",
                      "body": b"{\"detail\":\"Not Found\"}"})
        else:
            c.answer({"head": b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain",
                      "body": b"404 page not found"})

    # ---- what the model says

    def weights(self, name):
        """What decides the words: the adapter's bytes, or what the cache took them for."""
        path = self.adapters.get(name)
        if path is None:
            return b"base"
        found = hashlib.sha256(name.encode() if not os.path.isdir(path) else b"")
        for f in sorted(os.listdir(path)) if os.path.isdir(path) else []:
            with open(os.path.join(path, f), "rb") as file:
                found.update(file.read())
        return self.cache.setdefault((name, path), found.digest())

    def words(self, weights, asked, options):
        prompt = json.dumps(asked["messages"]).encode()
        seed = b""
        if options.get("temperature", 1) > 0:
            seed = str(options.get("seed", time.time())).encode()
        at = 0
        while True:
            digest = hashlib.sha256(weights + prompt + seed + str(at).encode()).digest()
            yield WORDS[digest[0] % len(WORDS)]
            at += 1

    def tokens(self, weights, asked, options, limit):
        """(token, finish) for each; stop strings end the text before them."""
        stops = options.get("stop") or []
        stops = [stops] if isinstance(stops, str) else stops
        text, held = "", ""
        n = 0
        for word in self.words(weights, asked, options):
            n += 1
            last = "length" if n == limit else None
            held += word
            cut = min((held.index(s) for s in stops if s in held), default=-1)
            if cut >= 0:
                yield held[:cut], n, "stop"
                return
            keep = max((k for s in stops for k in range(1, len(s)) if held.endswith(s[:k])), default=0)
            if last:
                keep = 0
            piece, held = held[:len(held) - keep], held[len(held) - keep:]
            text += piece
            yield piece, n, last
            if last:
                return

    def chat_events(self, recorded, asked, model, weights, limit, counts):
        """/v1's events, shaped as the recorded ones."""
        shapes = events(recorded["body"])
        content = [s for s in shapes if s["choices"] and s["choices"][0]["delta"].get("content")]
        first, middle = shapes[0], content[0]
        usage = next(s for s in shapes if s.get("usage") and not s["choices"])
        prompt = 5 + len(json.dumps(asked["messages"])) // 4

        def filled(shape, n):
            event = json.loads(json.dumps(shape))
            event["model"] = model
            if counts:
                event["usage"] = {"prompt_tokens": prompt, "completion_tokens": n,
                                  "total_tokens": prompt + n}
            elif event["choices"]:
                event.pop("usage", None)
            return event

        def logprobs(piece):
            entry = {"token": piece, "logprob": -0.25, "bytes": list(piece.encode())}
            top = [dict(entry)] * min(asked.get("top_logprobs", 0), 1)
            return {"content": [dict(entry, top_logprobs=top)]}

        if not first["choices"][0]["delta"].get("content"):
            yield filled(first, 0)
        n = 0
        for piece, n, finish in self.tokens(weights, asked, asked, limit):
            event = filled(middle, n)
            choice = event["choices"][0]
            choice["delta"]["content"] = piece
            choice["finish_reason"] = finish
            if asked.get("logprobs"):
                choice["logprobs"] = logprobs(piece)
            yield event
        last = filled(usage, n)
        last["usage"] = {"prompt_tokens": prompt, "completion_tokens": n, "total_tokens": prompt + n}
        yield last

    def stream_chat(self, c, asked, model, weights, limit, counts):
        recorded = self.recorded.find("/v1/chat/completions", 200, b"data: [DONE]", plain_stream)
        with self.lock:
            self.running += 1
        try:
            c.begin(recorded)
            for event in self.chat_events(recorded, asked, model, weights, limit, counts):
                c.chunk(b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n")
                time.sleep(self.delay)
            c.chunk(b"data: [DONE]\n\n")
            c.end()
        finally:
            with self.lock:
                self.running -= 1

    # ---- vLLM

    def vllm_version(self, c, asked):
        c.answer(self.recorded.find("/version", 200))

    def vllm_health(self, c, asked):
        c.answer(self.recorded.find("/health", 200))

    def vllm_v1_models(self, c, asked):
        recorded = self.recorded.find("/v1/models", 200)

        def change(body):
            whole = json.loads(body)
            base = next(m for m in whole["data"] if m["parent"] is None)
            base["id"], base["root"] = "smol", self.base_root
            whole["data"] = [base]
            for name, path in sorted(self.adapters.items()) if self.listed else []:
                whole["data"].append(dict(base, id=name, root=path, parent="smol", max_model_len=None))
            return json.dumps(whole).encode()
        c.answer(recorded, change)

    def refuse(self, c, path, status, says, old, new):
        recorded = self.recorded.find(path, status, says)
        c.answer(recorded, lambda body: body.replace(old, new) if old else body)

    def said(self, body, key="message"):
        return json.loads(body)["error"][key]

    def error(self, c, path, status, says, message):
        """A recorded error of that kind, with its message changed."""
        def change(body):
            whole = json.loads(body)
            whole["error"]["message"] = message
            return json.dumps(whole).encode()
        c.answer(self.recorded.find(path, status, says), change)

    def vllm_v1_load_lora_adapter(self, c, asked):
        route = "/v1/load_lora_adapter"
        if not self.routes:
            return self.nothing(c)
        name, path = asked["lora_name"], asked["lora_path"]
        time.sleep(self.load_delay)
        if name == "smol":
            return self.error(c, route, 400, b"conflicts with",
                              "The lora adapter '%s' conflicts with a served base model." % name)
        with self.lock:
            if name in self.adapters:
                return self.error(c, route, 400, b"already been loaded",
                                  "The lora adapter '%s' has already been loaded. If you want to load the "
                                  "adapter in place, set 'load_inplace' to True." % name)
        config = os.path.join(path, "adapter_config.json")
        if not os.path.isfile(config):
            return self.error(c, route, 404, b"No adapter found",
                              "Loading lora %s failed: No adapter found for <path>" % name)
        with open(config, encoding="utf-8") as f:
            rank = json.load(f).get("r", 8)
        if rank > self.max_rank:
            return self.error(c, route, 500, b"max_lora_rank",
                              "Call to add_lora method failed: Worker failed with error 'LoRA rank %d is "
                              "greater than max_lora_rank %d.', please check the stack trace above for the "
                              "root cause" % (rank, self.max_rank))
        with self.lock:
            self.adapters[name] = path
        c.answer(self.recorded.find(route, 200),
                 lambda body: b"Success: LoRA adapter '%s' added successfully." % name.encode())

    def vllm_v1_unload_lora_adapter(self, c, asked):
        route = "/v1/unload_lora_adapter"
        if not self.routes:
            return self.nothing(c)
        name = asked["lora_name"]
        with self.lock:
            known = self.adapters.pop(name, None) is not None
        if not known:
            return self.error(c, route, 404, b"cannot be found",
                              "The lora adapter '%s' cannot be found." % name)
        c.answer(self.recorded.find(route, 200),
                 lambda body: b"Success: LoRA adapter '%s' removed successfully." % name.encode())

    def vllm_v1_chat_completions(self, c, asked):
        route = "/v1/chat/completions"
        model = asked["model"]
        if model != "smol" and model not in self.adapters:
            return self.error(c, route, 404, b"does not exist",
                              "The model `%s` does not exist. Valid aliases: smol." % model)
        limit = asked.get("max_tokens", WINDOW - 40)
        if limit > WINDOW:
            return self.error(c, route, 400, b"max_model_len",
                              "max_tokens=%d cannot be greater than max_model_len=%d. Please request fewer "
                              "output tokens. (parameter=max_tokens, value=%d)" % (limit, WINDOW, limit))
        counts = asked.get("stream_options", {}).get("continuous_usage_stats", False)
        self.stream_chat(c, asked, model, self.weights(model), min(limit, WINDOW - 40), counts)

    # ---- Ollama

    def ollama_api_version(self, c, asked):
        c.answer({"head": b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8",
                  "body": b"{\"version\":\"0.17.4\"}"})

    def ollama_api_chat(self, c, asked):
        if asked["model"] != "smol":
            recorded = self.recorded.find("/api/chat", 404, b"not found")
            return c.answer(recorded, lambda body: json.dumps(
                {"error": "model '%s' not found" % asked["model"]}).encode())
        recorded = self.recorded.find(
            "/api/chat", 200, b"\"done\":false",
            lambda e: "format" not in e["asked"] and not e["asked"].get("logprobs"))
        lines = [json.loads(l) for l in recorded["body"].decode().split("\n") if l]
        middle, last = lines[0], lines[-1]
        options = asked.get("options", {})
        limit = options.get("num_predict", -1)
        n, finish = 0, "stop"
        c.begin(recorded)
        for piece, n, finish in self.tokens(b"base", asked, options, limit):
            line = dict(middle, message=dict(middle["message"], content=piece))
            if asked.get("logprobs"):
                line["logprobs"] = [{"token": piece, "logprob": -0.5, "bytes": list(piece.encode())}]
            c.chunk(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            time.sleep(self.delay)
        c.chunk(json.dumps(dict(last, message={"role": "assistant", "content": ""}, done_reason=finish,
                                prompt_eval_count=13, eval_count=n)).encode() + b"\n")
        c.end()

    def plain_v1_chat_completions(self, c, asked):
        limit = asked.get("max_tokens", 100000)
        self.stream_chat(c, asked, asked["model"], b"base", limit, False)

    # ---- commands

    def command(self, order):
        do = order.pop("do")
        if do == "set":
            for key, value in order.items():
                setattr(self, key, value)
        elif do == "next":
            with self.lock:
                self.acts.append(order)
        elif do == "replay":
            with open(order["file"], encoding="utf-8") as f:
                exchanges = [e for e in json.load(f)["exchanges"] if "response" in e]
            chosen = exchanges[order["index"]] if order["index"] < len(exchanges) else None
            told = expected(chosen) if chosen else None
            self.replay = [chosen] if told else []
            return {"expected": told, "last": chosen is None}
        elif do == "die":
            self.die()
        elif do == "rise":
            self.rise()
        elif do == "restart":
            self.die()
            self.rise()
        elif do == "forget":
            self.forget()
        with self.lock:
            state = {"adapters": dict(self.adapters), "requests": list(self.log),
                     "running": self.running}
            if do == "state":
                self.log.clear()
        return state


def main():
    server = Server(sys.argv[1], sys.argv[2])
    print(server.port, flush=True)
    for line in sys.stdin:
        print(json.dumps(server.command(json.loads(line))), flush=True)
    os._exit(0)


main()
