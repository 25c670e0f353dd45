#!/usr/bin/env python3
"""Rendering a chat of 40 messages and 8 tools with published templates, against jinja2, on one thread.

    bench/templates.py BUILD FOLDER PYTHON [ROUNDS]

FOLDER is that of scripts/fetch-tokenizers.sh, PYTHON one that has jinja2. CPU time; the two sides take turns, a
cell is the median with the lowest and the highest, a ratio the median of the rounds'. jinja2 has the environment
of transformers and a template compiled before. "Render": the chat is there as values in memory, on both sides;
"from JSON": its JSON is read each time. Both must give the same number of bytes.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile

NAMES = [("qwen3", "Qwen3"), ("llama3_1", "Llama 3.1"), ("gemma3", "Gemma 3")]
SECONDS = "0.3"
PEER = """
import json, sys, time
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment
def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
def refuse(message):
    raise jinja2.exceptions.TemplateError(message)
environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])
environment.filters["tojson"] = tojson
environment.globals.update(raise_exception=refuse, strftime_now=lambda form: time.strftime(form))
source, chat_json = (open(path, encoding="utf-8").read() for path in sys.argv[1:3])
chat = json.loads(chat_json)
def each(work):
    start, n = time.process_time(), 0
    while n == 0 or time.process_time() - start < float(sys.argv[3]):
        result, n = work(), n + 1
    return (time.process_time() - start) / n, result
def compiled():
    environment.cache.clear()
    return environment.from_string(source)
compile_time, template = each(compiled)
render_time, text = each(lambda: template.render(**chat, add_generation_prompt=True))
request_time, text = each(lambda: template.render(**json.loads(chat_json), add_generation_prompt=True))
print(json.dumps({"compile": compile_time, "render": render_time, "request": request_time, "bytes": len(text.encode())}))
"""


def tool(i):
    return {"type": "function", "function": {
        "name": f"tool_{i}", "description": f"Does the work number {i}; as a \"<test>\".",
        "parameters": {"type": "object", "required": ["path", "line"], "properties": {
            "path": {"type": "string", "description": "Pfad einer Datei, für äöü"},
            "line": {"type": "integer", "minimum": 1, "default": 1},
            "scale": {"type": "number", "default": 48.137154},
            "mode": {"type": "string", "enum": ["read", "write", "append"]}}}}}


def chat(calls):
    messages = [{"role": "system", "content": "You write programs. " * 20}]
    while len(messages) < 40:
        i = len(messages)
        messages += [{"role": "user", "content": f"Question {i}: what does the function do?\n" + "int f(int x);\n" * 20}]
        answer = {"role": "assistant", "content": f"It counts, see line {i}.\n" + "A sentence of an answer. " * 30}
        if not calls:
            messages += [answer]
            continue
        messages += [
            {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {
                "name": f"tool_{i % 8}", "arguments": {"path": f"src/{i}.c", "line": i, "scale": 0.1 * i}}}]},
            {"role": "tool", "content": json.dumps({"found": ["x" * 80] * 4})}, answer]
    return {"messages": messages[:40], "bos_token": "<s>", **({"tools": [tool(i) for i in range(8)]} if calls else {})}


def ask(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def cell(values, form):
    return f"{form % statistics.median(values)} ({form % min(values)} – {form % max(values)})"


def rounds_of(build, python, files, rounds):
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(ask([f"{build}/bench/bench-templates", *files, SECONDS]))
        theirs.append(ask([python, "-c", PEER, *files, SECONDS]))
        if ours[-1]["bytes"] != theirs[-1]["bytes"]:
            sys.exit(f"{files[0]}: {ours[-1]['bytes']} bytes here, {theirs[-1]['bytes']} of jinja2")
    return ours, theirs


def main(build, folder, python, rounds="5"):
    print("\n### Rendering a chat of 40 messages, with 8 tools where the template takes them, against jinja2\n")
    print("| template | render µs | theirs | ratio | from JSON µs | theirs | ratio | compile µs | theirs | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as work:
        files = [os.path.join(work, "template"), os.path.join(work, "chat")]
        for name, title in NAMES:
            with open(f"{folder}/{name}/tokenizer_config.json", encoding="utf-8") as f:
                source = json.load(f)["chat_template"]
            for path, text in zip(files, (source, json.dumps(chat(name == "qwen3"), ensure_ascii=False))):
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text)
            ours, theirs = rounds_of(build, python, files, int(rounds))
            row = [title]
            for key in ("render", "request", "compile"):
                row += [cell([1e6 * side[key] for side in sides], "%.0f") for sides in (ours, theirs)]
                row.append("%.1f" % statistics.median(b[key] / a[key] for a, b in zip(ours, theirs)))
            print("| " + " | ".join(row) + " |", flush=True)


main(*sys.argv[1:])
