#!/usr/bin/env python3
"""Tokenizing 10 MB of mixed text and loading vocabularies, against the tokenizers library, on one thread.

    bench/tokenizing.py BUILD FOLDER PYTHON [ROUNDS]

FOLDER is that of scripts/fetch-tokenizers.sh, PYTHON one that has the tokenizers library. CPU seconds; the
two sides take turns, a cell is the median with the lowest and the highest, a ratio the median of the rounds'.
The peer gets the text in pieces of about 100 kB, with which it is faster than with the whole.
"""
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile

MEGABYTES = 10
NAMES = [("smollm2", "SmolLM2"), ("qwen3", "Qwen3"), ("gemma3", "Gemma 3"), ("llama3_1", "Llama 3.1")]
SENTENCES = ["한국어는 한반도에서 사용되는 언어이다. ", "日本語の文章をここに書きます。東京は日本の首都です。",
             "中文是世界上使用人数最多的语言之一，今天天气很好。", "Привет, мир! Это предложение на русском языке. ",
             "مرحبا بالعالم، هذه جملة باللغة العربية. ", "हिन्दी भारत की राजभाषा है। ",
             "Émile était très content d'être à l'école. ", "Übergrößenträger fährt über die Straße. ",
             "ภาษาไทยเป็นภาษาที่มีเสียงวรรณยุกต์ ", "👍🏽 great 🎉 emoji 👨‍👩‍👧 text, 3.14159 and 2,718,281. "]
PEER = """
import json, sys, time
from tokenizers import Tokenizer
text = open(sys.argv[2], encoding="utf-8").read()
a = time.process_time()
t = Tokenizer.from_file(sys.argv[1] + "/tokenizer.json")
b = time.process_time()
parts = [t.encode(text[i:i + 100000], add_special_tokens=False).ids for i in range(0, len(text), 100000)]
c = time.process_time()
for ids in parts:
    t.decode(ids, skip_special_tokens=False)
d = time.process_time()
print(json.dumps({"load": b - a, "encode": c - b, "decode": d - c}))
"""


def mixed_text(root):
    """This repository's sources and documents, a sentence in another language every few lines."""
    files = sorted(glob.glob(root + "/src/**/*.[ch]", recursive=True) + glob.glob(root + "/docs/*.md"))
    out, size, turn = [], 0, 0
    while size < MEGABYTES * 1000 * 1000:
        for path in files:
            for line in open(path, encoding="utf-8"):
                if len(out) % 4 == 0:
                    line += SENTENCES[turn % len(SENTENCES)] * 2
                    turn += 1
                out.append(line)
                size += len(line.encode())
    return "".join(out).encode()[:MEGABYTES * 1000 * 1000].decode(errors="ignore")


def ask(command):
    environment = dict(os.environ, TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1")
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def cell(values, form):
    return f"{form % statistics.median(values)} ({form % min(values)} – {form % max(values)})"


def main(build, folder, python, rounds="5"):
    print(f"\n### Tokenizing {MEGABYTES} MB of mixed text, one thread, CPU time, against tokenizers\n")
    print("| vocabulary | encode MB/s | theirs | ratio | decode MB/s | theirs | load ms | theirs | of theirs |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
        f.write(mixed_text(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
        f.flush()
        for name, title in NAMES:
            ours, theirs = [], []
            for _ in range(int(rounds)):
                ours.append(ask([f"{build}/bench/bench-tokenize", f"{folder}/{name}", f.name]))
                theirs.append(ask([python, "-c", PEER, f"{folder}/{name}", f.name]))
            row = [title]
            for key in ("encode", "decode"):
                row += [cell([MEGABYTES / side[key] for side in sides], "%.1f") for sides in (ours, theirs)]
                if key == "encode":
                    row.append("%.1f" % statistics.median(b[key] / a[key] for a, b in zip(ours, theirs)))
            row += [cell([1000 * side["load"] for side in sides], "%.0f") for sides in (ours, theirs)]
            row.append("%.2f" % statistics.median(a["load"] / b["load"] for a, b in zip(ours, theirs)))
            print("| " + " | ".join(row) + " |", flush=True)


main(*sys.argv[1:])
