#!/bin/sh
# SIGINT, SIGTERM and SIGHUP end a run in order: the text so far stays, one line says why, the exit
# code is that of a cancelled operation; a second one ends it at once.
. "${0%/*}/lib.sh"

with_template '{% for x in range(100000) %}{% for y in range(100000) %}{% endfor %}{% endfor %}' "$work/slow.gguf"
python3 - "$INFERENCE" "$model" "$adapter-0" "$work" <<'PYTHON' || failures=1
import json, os, signal, subprocess, sys, time

command, model, adapter, work = sys.argv[1:]
failures = 0
LONG = ["--threads", "1", "--ctx", "8192", "--ignore-eos", "-n", "8000"]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
for number in SIGNALS: # a suite that runs in the background inherited them as ignored
    signal.signal(number, signal.SIG_DFL)

def start(*arguments, stdin=subprocess.DEVNULL, ignored=()):
    def ignore():
        for n in ignored:
            signal.signal(n, signal.SIG_IGN)
    return subprocess.Popen([command, *arguments], stdin=stdin, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, preexec_fn=ignore)

def wait_until_ready(process): # it blocks the signals first of all
    for _ in range(3000):
        with open("/proc/%d/status" % process.pid) as status:
            blocked = [int(line.split()[1], 16) for line in status if line.startswith("SigBlk")]
        if blocked and blocked[0] >> (signal.SIGINT - 1) & 1:
            return
        time.sleep(0.01)

def expect(name, holds, process, out, err):
    global failures
    if not holds:
        failures += 1
        print("FAILED:", name, "exit code", process.returncode, out[-200:], err[-600:], file=sys.stderr)

def finish(name, process, read, code=15, words=b"cancelled|interrupted"):
    out, err = process.communicate(timeout=400)
    lines = err.splitlines()
    ok = process.returncode == code and len(lines) == 1 and lines[0].startswith(b"inference: ")
    expect(name, ok and any(w in lines[0] for w in words.split(b"|")), process, out, err)
    return read + out

for number in SIGNALS:
    # while it streams
    p = start("generate", "-m", model, "--load", "a=" + adapter, "--adapter", "a", *LONG, "hi")
    first = os.read(p.stdout.fileno(), 1)
    p.send_signal(number)
    out = finish("streaming, signal %d" % number, p, first)
    expect("the text so far ends in a newline", out.endswith(b"\n") and len(out) > 1, p, out, b"")

# what the parent ignores stays ignored, as under nohup; the others end it
for number in SIGNALS:
    p = start("generate", "-m", model, *LONG[:-1], "2000", "hi", ignored=(number,))
    first = os.read(p.stdout.fileno(), 1)
    p.send_signal(number)
    out, err = p.communicate(timeout=400)
    expect("ignored signal %d" % number, p.returncode == 0 and err == b"", p, out, err)
p = start("generate", "-m", model, *LONG, "hi", ignored=(signal.SIGHUP,))
first = os.read(p.stdout.fileno(), 1)
p.send_signal(signal.SIGHUP)
p.send_signal(signal.SIGTERM)
finish("SIGTERM with SIGHUP ignored", p, first)

# as a JSON object: what was generated comes out with the error, when anything was
p = start("generate", "-m", model, "--json", *LONG, "hi")
wait_until_ready(p)
p.send_signal(signal.SIGINT)
out, err = p.communicate(timeout=400)
if p.returncode != 0: # it may have been done before
    expect("--json", p.returncode == 15 and err.count(b"\n") == 1 and
           (out == b"" or json.loads(out)["error"]["code"] == "cancelled"), p, out, err)

# a batch: every line that was read gets an answer
with open(work + "/batch", "w") as file:
    for i in range(40):
        print(json.dumps({"prompt": "hi", "id": i, "ignore_eos": True, "max_tokens": 8 if i == 0 else 4000}), file=file)
p = start("generate", "-m", model, "--batch", work + "/batch", *LONG)
first = p.stdout.readline()
p.send_signal(signal.SIGTERM)
out, err = p.communicate(timeout=400)
answers = [json.loads(line) for line in (first + out).split(b"\n") if line]
expect("batch", p.returncode == 15 and err.count(b"\n") == 1 and
       sorted(a["id"] for a in answers) == list(range(40)) and
       any(a.get("error", {}).get("code") == "cancelled" for a in answers), p, out, err)
expect("batch: the texts so far", any(a.get("error", {}).get("code") == "cancelled" and a.get("text") and
       a["completion_tokens"] > 0 and a["prompt_tokens"] > 0 for a in answers), p, out, err)

# while a chat template loops
for arguments in (("generate", "--threads", "1", "--chat", "hi"), ("render",)):
    p = start(arguments[0], "-m", work + "/slow.gguf", *arguments[1:], stdin=subprocess.PIPE)
    p.stdin.write(b'[{"role":"user","content":"hi"}]')
    p.stdin.close()
    p.stdin = None
    wait_until_ready(p)
    time.sleep(0.2)
    p.send_signal(signal.SIGINT)
    finish("a looping template: " + arguments[0], p, b"")

# while it waits for standard input
for arguments in (("tokenize", "-m", model), ("generate", "-m", model, "-"),
                  ("generate", "-m", model, "--batch", "-")):
    p = start(*arguments, stdin=subprocess.PIPE)
    wait_until_ready(p)
    p.send_signal(signal.SIGINT)
    try:
        p.wait(timeout=20)
    except subprocess.TimeoutExpired:
        p.kill()
    finish("waiting for input: " + " ".join(arguments[:1] + arguments[3:]), p, b"")

sys.exit(failures > 0)
PYTHON

finish
