#!/usr/bin/env python3
"""Record what the real servers answer: requests, raw response bytes and when they came.

    record.py [--out DIR] [--only PATTERN] [--missing] [--keep] [vllm|ollama]...

Starts and stops the servers itself (scripts/live). One file a case, as README.md describes, in
DIR/vllm and DIR/ollama; tests/live/transcripts when DIR is left out. A case is a list of steps, and
a step is an exchange, or something that happens to the server between two of them.
"""

import argparse
import base64
import datetime
import fnmatch
import importlib.util
import json
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location(
    "servers", HERE.parent.parent / "scripts" / "live" / "servers.py")
servers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(servers)

GIVE_UP = 120  # seconds without a byte, unless the step says otherwise
MODEL = servers.MODEL_NAME
GRAVITY = [{"role": "user", "content": "What is gravity?"}]
STORY = [{"role": "user", "content": "Tell me a long story about a fox and a crow."}]
YES = [{"role": "user", "content": "Say only: yes"}]
LONG = [{"role": "user", "content": "one two three four five " * 1200}]
SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 12},
                                           "age": {"type": "integer"}},
          "required": ["name", "age"], "additionalProperties": False}
# Bytes of one character end up in different tokens, and so in different pieces.
WIDE = "naïve 🙂🦊 日本語 \u202eabc é"

# ---------------------------------------------------------------- steps


def exchange(method, path, body=None, headers=(), cut_after=None, give_up=GIVE_UP, during=None,
             server=None):
    """body: text as it is, anything else as JSON. cut_after: we close after so many pieces.
    during: (pieces, what to do to the server when they have come)."""
    if body is not None and not isinstance(body, str):
        body = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return dict(method=method, path=path, body=body, headers=list(headers), cut_after=cut_after,
                give_up=give_up, during=during, server=server)


def post(path, body, **more):
    return exchange("POST", path, body, **more)


def chat(messages=GRAVITY, model=MODEL, server=None, **fields):
    step = {k: fields.pop(k) for k in ("cut_after", "give_up", "during", "headers") if k in fields}
    body = {"model": model, "messages": messages, "max_tokens": 8, "temperature": 0, **fields}
    return post("/v1/chat/completions", {k: v for k, v in body.items() if v is not ...},
                server=server, **step)


def stream(messages=GRAVITY, **fields):
    return chat(messages, stream=True, stream_options={"include_usage": True}, **fields)


def native(messages=GRAVITY, options=(), **fields):
    step = {k: fields.pop(k) for k in ("cut_after", "give_up", "during") if k in fields}
    body = {"model": MODEL, "messages": messages, "truncate": False, "shift": False,
            "options": {"num_predict": 8, "temperature": 0, **dict(options)}, **fields}
    return post("/api/chat", {k: v for k, v in body.items() if v is not ...}, **step)


def load(name, path=None, **fields):
    return post("/v1/load_lora_adapter",
                {"lora_name": name, "lora_path": f"/adapters/{path or name}", **fields})


def unload(name):
    return post("/v1/unload_lora_adapter", {"lora_name": name})


def get(path, **more):
    return exchange("GET", path, **more)


def schema_of(schema):
    return {"type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": True}}


ONLY_WIDE = {"type": "object", "properties": {"text": {"type": "string", "enum": [WIDE]}},
             "required": ["text"], "additionalProperties": False}

# What is done to a server: functions of its name.


def restart(name):
    servers.kill([name])
    servers.start([name])


def kill(name):
    servers.kill([name])


def kill_worker(name):
    """The process that computes, below the one that answers."""
    def below(pid):
        children = servers.children_of(pid)
        return children + [deeper for child in children for deeper in below(child)]

    for front in servers.children_of(servers.guard_pid(name)):
        for pid in below(front):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"EngineCore" in command or b"runner" in command:
                os.kill(pid, signal.SIGKILL)
                return
    sys.exit(f"{name}: no worker process found")


# ---------------------------------------------------------------- the cases

LOCKED = "vllm-locked"
KEY = [("Authorization", f"Bearer {servers.API_KEY}")]

VLLM = {
    "version": [get("/version")],
    "health": [get("/health")],
    "models": [get("/v1/models")],
    "chat": [chat()],
    "chat-system": [chat([{"role": "system", "content": "Answer in one word."}] + GRAVITY)],
    "chat-stop": [chat(stop=["vity"], max_tokens=20)],
    "chat-stop-token-ids": [chat(stop_token_ids=[314], max_tokens=20)],
    "chat-ends": [chat(YES, max_tokens=100)],
    "chat-ignore-eos": [chat(YES, max_tokens=30,
                             ignore_eos=True)],
    "chat-sampling": [chat(temperature=0.8, top_p=0.9, top_k=40, min_p=0.05, seed=7,
                           repetition_penalty=1.1, frequency_penalty=0.5, presence_penalty=0.5)],
    "chat-logprobs": [chat(logprobs=True, top_logprobs=3)],
    "chat-logprobs-only": [chat(logprobs=True, top_logprobs=0)],
    "chat-json-schema": [chat(response_format=schema_of(SCHEMA), max_tokens=40)],
    "chat-wide": [chat(response_format=schema_of(ONLY_WIDE), max_tokens=80)],
    "chat-unknown-field": [chat(no_such_field=1)],
    "chat-max-tokens-left-out": [chat(YES, max_tokens=...)],
    "stream": [chat(stream=True)],
    "stream-usage": [stream()],
    "stream-64": [stream(STORY, max_tokens=64, ignore_eos=True)],
    "stream-stop": [stream(stop=["vity"], max_tokens=20)],
    "stream-ends": [stream(YES, max_tokens=100)],
    "stream-logprobs": [stream(logprobs=True, top_logprobs=3)],
    "stream-json-schema": [stream(response_format=schema_of(SCHEMA), max_tokens=40)],
    "stream-wide": [stream(response_format=schema_of(ONLY_WIDE), max_tokens=80)],
    "stream-wide-logprobs": [stream(response_format=schema_of(ONLY_WIDE), max_tokens=80,
                                    logprobs=True, top_logprobs=1)],
    "stream-two-choices": [stream(n=2, temperature=0.5)],
    "stream-cancelled": [stream(STORY, max_tokens=1000, cut_after=6), chat()],
    "error-max-tokens-too-large": [chat(max_tokens=5000), stream(max_tokens=5000)],
    "error-prompt-too-long": [chat(LONG), stream(LONG), chat(LONG, max_tokens=...)],
    "error-unknown-model": [chat(model="nobody"), stream(model="nobody")],
    "error-no-messages": [chat([]), chat(messages=...)],
    "error-not-json": [post("/v1/chat/completions", "{bad")],
    "error-field-type": [chat(temperature="hot"), chat(stop=5), chat(messages="hello")],
    "error-field-range": [chat(temperature=-1), chat(top_p=0), chat(max_tokens=0), chat(max_tokens=-5),
                          chat(top_logprobs=99, logprobs=True), chat(repetition_penalty=0),
                          chat(top_k=-2), chat(min_p=2)],
    "error-schema": [chat(response_format=schema_of({"type": "nonsense"})),
                     chat(response_format={"type": "json_schema"})],
    "error-role": [chat([{"role": "nobody", "content": "hi"}]), chat([{"role": "user"}])],
    "error-tools": [chat(tools=[{"type": "function", "function": {
        "name": "look", "parameters": {"type": "object"}}}])],
    "error-stream-options": [chat(stream_options={"include_usage": True})],
    "error-route": [get("/v1/nothing"), get("/v1/chat/completions"), post("/", {})],
    "adapter": [load("r0"), get("/v1/models"), chat(model="r0"), stream(model="r0"), unload("r0"),
                chat(model="r0"), get("/v1/models")],
    "adapter-two": [load("r1"), load("r2"), get("/v1/models"), chat(model="r1"), chat(model="r2"),
                    unload("r1"), unload("r2")],
    "adapter-already-loaded": [load("r0"), load("r0"), load("r0", "r1"),
                               load("r0", "r1", load_inplace=True), get("/v1/models"), unload("r0")],
    "adapter-no-such-path": [load("nobody", "nowhere"), load("files", "r0/adapter_model.safetensors")],
    "adapter-rank-too-large": [load("rank64")],
    "adapter-dora": [load("dora")],
    "adapter-missing-field": [post("/v1/load_lora_adapter", {"lora_name": "x"}),
                              post("/v1/load_lora_adapter", {"lora_path": "/adapters/r0"}),
                              post("/v1/load_lora_adapter", {"lora_name": "", "lora_path": ""}),
                              post("/v1/load_lora_adapter", "{bad"),
                              post("/v1/load_lora_adapter", {"lora_name": 5, "lora_path": True})],
    "adapter-name-of-base": [load(MODEL, "r0")],
    "adapter-shape": [load("shape"), unload("shape")],
    "adapter-matches-nothing": [load("nomatch"), chat(model="nomatch"), unload("nomatch")],
    "adapter-unload-unknown": [unload("nobody"), post("/v1/unload_lora_adapter", {}),
                               unload(MODEL)],
    "adapter-unload-mid-stream": [load("r3"), stream(STORY, model="r3", max_tokens=30,
                                                     during=(4, "unload r3")), unload("r3")],
    "adapter-lost-by-restart": [load("r0"), chat(model="r0"), restart, get("/v1/models"),
                                chat(model="r0"), load("r0"), chat(model="r0")],
    # The server is of no use after each of these.
    "adapter-nan": [load("nan"), chat(), chat(model="nan"), chat(), stream(), restart, chat()],
    "killed-mid-stream": [stream(STORY, max_tokens=1000, during=(5, kill))],
    "worker-killed-mid-stream": [stream(STORY, max_tokens=1000, during=(5, kill_worker))],
    "worker-killed-mid-answer": [chat(STORY, max_tokens=1000, ignore_eos=True,
                                      during=(0, kill_worker))],
    # Another server: no adapters at run time, and a key.
    "locked-no-key": [chat(server=LOCKED), get("/v1/models", server=LOCKED),
                      get("/health", server=LOCKED), get("/version", server=LOCKED)],
    "locked-wrong-key": [chat(server=LOCKED, headers=[("Authorization", "Bearer wrong")])],
    "locked-key": [chat(server=LOCKED, headers=KEY),
                   get("/v1/models", server=LOCKED, headers=KEY)],
    # 4096 is the library's default, 2048 this server's window.
    "locked-max-tokens-beyond-window": [
        stream(max_tokens=4096, server=LOCKED, headers=KEY, messages=YES),
        stream(max_tokens=..., server=LOCKED, headers=KEY, messages=YES)],
    "locked-load": [post("/v1/load_lora_adapter", {"lora_name": "r0", "lora_path": "/adapters/r0"},
                         headers=KEY, server=LOCKED),
                    post("/v1/unload_lora_adapter", {"lora_name": "r0"}, headers=KEY,
                         server=LOCKED)],
}

OLLAMA_KEY = [("Authorization", "Bearer ollama")]
OLLAMA = {
    "version": [get("/api/version")],
    "root": [get("/")],
    "models": [get("/v1/models"), get("/api/tags")],
    "chat": [native(stream=False)],
    "chat-system": [native([{"role": "system", "content": "Answer in one word."}] + GRAVITY,
                           stream=False)],
    "chat-stop": [native(stream=False, options={"stop": ["vity"], "num_predict": 20})],
    "chat-ends": [native(YES, stream=False,
                         options={"num_predict": 100})],
    "chat-sampling": [native(stream=False, options={
        "temperature": 0.8, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "seed": 7,
        "repeat_penalty": 1.1, "frequency_penalty": 0.5, "presence_penalty": 0.5})],
    "chat-logprobs": [native(stream=False, logprobs=True, top_logprobs=3)],
    "chat-json-schema": [native(stream=False, format=SCHEMA, options={"num_predict": 60})],
    "chat-wide": [native(stream=False, format=ONLY_WIDE, options={"num_predict": 100})],
    "stream": [native()],
    "stream-64": [native(STORY, options={"num_predict": 64})],
    "stream-stop": [native(options={"stop": ["vity"], "num_predict": 20})],
    "stream-ends": [native(YES,
                           options={"num_predict": 100})],
    "stream-logprobs": [native(logprobs=True, top_logprobs=3)],
    "stream-logprobs-only": [native(logprobs=True, top_logprobs=0)],
    "stream-json-schema": [native(format=SCHEMA, options={"num_predict": 60})],
    "stream-wide": [native(format=ONLY_WIDE, options={"num_predict": 100})],
    "stream-wide-logprobs": [native(format=ONLY_WIDE, options={"num_predict": 100}, logprobs=True,
                                    top_logprobs=1)],
    "stream-fills-window": [native(STORY, options={"num_predict": 4096, "num_ctx": 128})],
    "stream-cancelled": [native(STORY, options={"num_predict": 1000}, cut_after=6),
                         native(stream=False)],
    "error-prompt-too-long": [native(LONG, stream=False), native(LONG)],
    "prompt-cut-in-silence": [native(LONG, stream=False, truncate=..., shift=...,
                                     options={"num_ctx": 256})],
    "error-unknown-model": [native(model="nobody"), native(model="nobody", stream=False)],
    "no-messages": [native([]), native(messages=...)],
    "error-not-json": [post("/api/chat", "{bad")],
    "error-field-type": [native(options={"num_predict": "many"}), native(messages="hello"),
                         native(stream="yes"), native(format=5)],
    "error-schema": [native(format={"type": "nonsense"}), native(format="nonsense")],
    "error-role": [native([{"role": "nobody", "content": "hi"}])],
    "unknown-option": [native(options={"no_such_option": 1})],
    "error-tools": [native(tools=[{"type": "function", "function": {
        "name": "look", "parameters": {"type": "object"}}}])],
    "error-think": [native(think=True)],
    "think-false": [native(think=False)],
    "temperature-negative": [native(stream=False, options={"temperature": -1})],
    "error-route": [get("/nothing"), get("/api/chat")],
    "error-adapter-routes": [post("/v1/load_lora_adapter", {"lora_name": "a", "lora_path": "/x"}),
                             post("/v1/unload_lora_adapter", {"lora_name": "a"})],
    "v1-chat": [chat(headers=OLLAMA_KEY)],
    "v1-chat-logprobs": [chat(logprobs=True, top_logprobs=3)],
    "v1-chat-json-schema": [chat(response_format=schema_of(SCHEMA), max_tokens=60)],
    "v1-stream": [chat(stream=True)],
    "v1-stream-usage": [stream()],
    "v1-stream-stop": [stream(stop=["vity"], max_tokens=20)],
    "v1-stream-ends": [stream(YES, max_tokens=100)],
    "v1-stream-logprobs": [stream(logprobs=True, top_logprobs=3)],
    "v1-stream-wide": [stream(response_format=schema_of(ONLY_WIDE), max_tokens=100)],
    "v1-stream-cancelled": [stream(STORY, max_tokens=1000, cut_after=6)],
    "v1-prompt-cut-in-silence": [chat(LONG, give_up=300)],
    "v1-error-unknown-model": [chat(model="nobody"), stream(model="nobody")],
    "v1-error-no-messages": [chat([])],
    "v1-error-not-json": [post("/v1/chat/completions", "{bad")],
    "v1-error-field-type": [chat(temperature="hot"), chat(messages="hello")],
    "v1-temperature-negative": [chat(temperature=-1)],
    # It generates without end: nothing comes, and nothing is all there is to record.
    "v1-max-tokens-zero": [chat(STORY, max_tokens=0, give_up=10)],
    "worker-killed-mid-stream": [native(STORY, options={"num_predict": 1000},
                                        during=(5, kill_worker), give_up=30),
                                 native(stream=False)],
    "v1-worker-killed-mid-stream": [stream(STORY, max_tokens=1000, during=(5, kill_worker),
                                           give_up=30), chat()],
    "killed-mid-stream": [native(STORY, options={"num_predict": 1000}, during=(5, kill))],
}

CASES = {"vllm": VLLM, "ollama": OLLAMA}

# ---------------------------------------------------------------- the wire


def whole(data):
    """Whether the bytes are a whole HTTP/1.1 response."""
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        return False
    if re.search(rb"(?im)^transfer-encoding:\s*chunked", head):
        while body:
            size, separator, rest = body.partition(b"\r\n")
            if not separator:
                return False
            length = int(size.split(b";")[0], 16)
            if len(rest) < length + 2:
                return False
            body = rest[length + 2:]
            if length == 0:
                return True
        return False
    length = re.search(rb"(?im)^content-length:\s*(\d+)", head)
    return length is not None and len(body) >= int(length[1])


def on_disk(text):
    return text.replace('"/adapters/', f'"{servers.ADAPTERS}/') if text else text


def talk(step, name):
    """Send the request; the pieces of the answer as [milliseconds, bytes], and how it ended."""
    body = (on_disk(step["body"]) or "").encode()
    head = f"{step['method']} {step['path']} HTTP/1.1\r\nHost: localhost\r\n"
    if step["body"] is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{key}: {value}\r\n" for key, value in step["headers"])
    pieces = []
    with socket.create_connection(("127.0.0.1", servers.SERVERS[name][0])) as connection:
        connection.sendall(head.encode() + b"\r\n" + body)
        begun = time.monotonic()
        connection.settimeout(step["give_up"])
        while not whole(b"".join(piece for _, piece in pieces)):
            if step["during"] and len(pieces) == step["during"][0]:
                if not pieces:
                    time.sleep(0.5)  # it is computing
                happen(step["during"][1], name)
            if step["cut_after"] and len(pieces) >= step["cut_after"]:
                return pieces, "client-closed"
            try:
                piece = connection.recv(1 << 16)
            except socket.timeout:
                return pieces, "silent"
            except ConnectionResetError:
                return pieces, "server-reset"
            if not piece:
                return pieces, "server-closed"
            pieces.append([round((time.monotonic() - begun) * 1000, 1), piece])
    return pieces, "complete"


def happen(what, name):
    if callable(what):
        return what(name)
    verb, adapter = what.split()
    assert verb == "unload"
    talk(unload(adapter), name)


# ---------------------------------------------------------------- files


def scrub(pieces):
    """Paths of this machine become neutral ones, and the lengths in the answer stay true."""
    data = b"".join(piece for _, piece in pieces)
    clean = data.replace(str(servers.ADAPTERS).encode(), b"/adapters")
    clean = clean.replace(str(servers.MODEL).encode(), b"/models/smol")
    if clean == data:
        return pieces
    head, separator, body = clean.partition(b"\r\n\r\n")
    head, fixed = re.subn(rb"(?im)^(content-length:\s*)\d+", rb"\g<1>%d" % len(body), head)
    assert fixed == 1, "a path in an answer without Content-Length"
    return [[pieces[-1][0], head + separator + body]]


def written(piece):
    at, data = piece
    try:
        return {"at_ms": at, "text": data.decode()}
    except UnicodeDecodeError:
        return {"at_ms": at, "base64": base64.b64encode(data).decode()}


def record(server, version, case, steps):
    exchanges = []
    for step in steps:
        name = server
        if callable(step):
            step(name)
            exchanges.append({"event": step.__name__})
            continue
        name = step["server"] or server
        pieces, end = talk(step, name)
        during = {}
        if step["during"]:
            what = step["during"][1]
            during = {"during": {"after_pieces": step["during"][0],
                                 "event": what.__name__ if callable(what) else what}}
        headers = [["Content-Type", "application/json"]] if step["body"] is not None else []
        headers += [list(header) for header in step["headers"]]
        exchanges.append({
            "request": {"method": step["method"], "path": step["path"], "headers": headers,
                        "body": step["body"]},
            "response": [written(piece) for piece in scrub(pieces)], "end": end, **during})
    return {"format": 1, "server": version, "recorded": datetime.date.today().isoformat(),
            "case": case, "exchanges": exchanges}


def version_of(server):
    # Ollama built from its module says 0.0.0.
    if server == "ollama":
        return "ollama " + (servers.LIVE / "ollama/installed").read_text().strip().lstrip("v")
    with servers.fetch("vllm", "/version") as response:
        return "vllm " + json.load(response)["version"]


def check_clean(text, path):
    for word in (str(servers.LIVE), str(Path.home()), str(servers.CACHE), socket.gethostname()):
        if len(word) > 3 and word in text:
            sys.exit(f"{path} would name this machine: {word}")


def alive(name):
    return servers.guard_pid(name) and servers.answers(name)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("server", nargs="*", choices=[[], *CASES])
    parser.add_argument("--out", type=Path, default=HERE / "transcripts")
    parser.add_argument("--only", default="*")
    parser.add_argument("--missing", action="store_true", help="keep the cases that are there")
    parser.add_argument("--keep", action="store_true", help="use the running server, leave it up")
    args = parser.parse_args()
    if not args.keep:
        os.environ.setdefault("INF_LIVE_OWNER", str(os.getpid()))
    for server in args.server or list(CASES):
        cases = {name: steps for name, steps in CASES[server].items()
                 if fnmatch.fnmatch(name, args.only)}
        folder = args.out / server
        folder.mkdir(parents=True, exist_ok=True)
        if args.missing:
            cases = {name: steps for name, steps in cases.items()
                     if not (folder / f"{name}.json").exists()}
        try:
            if not args.keep:
                servers.stop([server])  # a fresh one, with no history
            servers.start([server])
            version = version_of(server)
            for case, steps in cases.items():
                print(f"{server}/{case}", file=sys.stderr, flush=True)
                if not alive(server):
                    servers.stop([server])
                    servers.start([server])
                if any(not callable(s) and s["server"] == LOCKED for s in steps):
                    servers.start([LOCKED])
                transcript = record(server, version, case, steps)
                text = json.dumps(transcript, ensure_ascii=False, indent=1)
                check_clean(text, case)
                (folder / f"{case}.json").write_text(text + "\n")
                if any(e.get("end") == "silent" for e in transcript["exchanges"]):
                    servers.stop([server])  # it may still be at it
        finally:
            if not args.keep:
                servers.stop([server, LOCKED] if server == "vllm" else [server])


if __name__ == "__main__":
    main()
