#!/usr/bin/env python3
"""Start and stop the real servers of the live tests, on loopback. scripts/live/servers.sh calls it.

    servers.py start [NAME...]    each is up and answering when this returns; one that is up stays
    servers.py stop [NAME...]     none named: all
    servers.py kill NAME          as a crash would: SIGKILL, nothing is told
    servers.py status
    servers.py env                shell lines: what the tests need to know

A server has a guard, a process of its own that starts it, and ends it with all its children when
it is told to (SIGTERM), when the process $INF_LIVE_OWNER ends, however it ends, or when
$INF_LIVE_MINUTES are over (60; a server started by hand and forgotten). Should the guard itself be
killed, the kernel ends the server.

The folder is ${XDG_CACHE_HOME:-~/.cache}/inference/live; install.sh fills it. Ports count up from
$INF_LIVE_PORT (18100).
"""

import argparse
import ctypes
import fcntl
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
LIVE = CACHE / "inference" / "live"
RUN = LIVE / "run"
MODEL = LIVE / "fixtures" / "model"
ADAPTERS = LIVE / "fixtures" / "adapters"
PORT = int(os.environ.get("INF_LIVE_PORT") or 18100)
MODEL_NAME = "smol"
# Compute threads of a server. Two that wait for each other by spinning are a hundred times slower
# than one where something else runs, too.
THREADS = os.environ.get("INF_LIVE_THREADS") or "1"
API_KEY = "live-test-key"
START_SECONDS = 300  # a cold vLLM on two busy cores; 30 to 60 otherwise
STOP_SECONDS = 20
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def vllm(port, window, *more):
    return [str(LIVE / "vllm-venv/bin/python"), "-m", "vllm.entrypoints.openai.api_server",
            "--model", str(MODEL), "--served-model-name", MODEL_NAME, "--host", "127.0.0.1",
            "--port", str(port), "--dtype", "float32", "--enable-lora", "--max-loras", "8",
            "--max-lora-rank", "16", "--max-model-len", str(window), *more]


# NAME: (port, command, environment, path that answers 200 when it is up)
DYNAMIC = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}
SERVERS = {
    "vllm": (PORT, vllm(PORT, 4096), DYNAMIC, "/health"),
    "vllm-replica": (PORT + 1, vllm(PORT + 1, 4096), DYNAMIC, "/health"),
    # No adapters at run time, a key, and a window below the default max_tokens.
    "vllm-locked": (PORT + 2, vllm(PORT + 2, 2048, "--api-key", API_KEY), {}, "/health"),
    "ollama": (PORT + 3, [str(LIVE / "ollama/bin/ollama"), "serve"],
               {"OLLAMA_HOST": f"127.0.0.1:{PORT + 3}", "OLLAMA_MODELS": str(LIVE / "ollama/models"),
                "HOME": str(LIVE / "ollama")}, "/api/version"),
}
VLLM_ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": THREADS,
    "VLLM_CACHE_ROOT": str(LIVE / "vllm-cache"),
    "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1",
    "TRITON_CACHE_DIR": str(LIVE / "vllm-cache/triton"),
    "TORCHINDUCTOR_CACHE_DIR": str(LIVE / "vllm-cache/inductor"),
}


def die(text):
    sys.exit(f"inference: {text}")


def say(text):
    print(f"inference: {text}", file=sys.stderr, flush=True)


def environment(name):
    """Without the caller's own settings for these servers, which would change what is tested."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("VLLM_", "OLLAMA_"))}
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        env.pop(proxy, None)
    if name.startswith("vllm"):
        env.update(VLLM_ENVIRONMENT)
    env.update(SERVERS[name][2])
    return env


# ---------------------------------------------------------------- the guard


def children_of(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            pass
    return found


def end_all(leader):
    """End the server and whatever it started: asked first, then killed. They are all below us."""
    deadline = time.monotonic() + STOP_SECONDS
    try:
        os.killpg(leader, signal.SIGTERM)
    except ProcessLookupError:
        pass
    while children_of(os.getpid()):
        if time.monotonic() > deadline:
            for pid in children_of(os.getpid()):
                os.kill(pid, signal.SIGKILL)
        elif not reap(leader):
            # The leader is gone: what is left has nobody to work for.
            for pid in children_of(os.getpid()):
                os.kill(pid, signal.SIGTERM)
        reap()
        time.sleep(0.05)


def reap(wanted=0):
    """Collect ended children; whether `wanted` is still there."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == 0:
            break
    return wanted in children_of(os.getpid())


def guard(name):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    owner = int(os.environ.get("INF_LIVE_OWNER") or 0)
    minutes = float(os.environ.get("INF_LIVE_MINUTES") or 60)
    wake, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)

    server = subprocess.Popen(
        SERVERS[name][1], env=environment(name), stdin=subprocess.DEVNULL, start_new_session=True,
        cwd=LIVE, preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0))
    try:
        watched = [wake, os.pidfd_open(server.pid)]
        if owner:
            try:
                watched.append(os.pidfd_open(owner))
            except ProcessLookupError:
                return  # gone before we began
        ready, _, _ = select.select(watched, [], [], minutes * 60)
        if not ready:
            say(f"{name}: {minutes:g} minutes are over")
    finally:
        end_all(server.pid)


# ---------------------------------------------------------------- start, stop, status


def start_time(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return None


def guard_pid(name):
    """The process id of the server's guard when it runs."""
    try:
        pid, started = (RUN / f"{name}.pid").read_text().split()
    except (OSError, ValueError):
        return None
    return int(pid) if start_time(pid) == started else None


def fetch(name, path):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(f"http://127.0.0.1:{SERVERS[name][0]}{path}", timeout=5)


def answers(name):
    try:
        with fetch(name, SERVERS[name][3]) as response:
            return response.status == 200
    except (OSError, urllib.error.URLError):
        return False


def port_taken(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def locked(name):
    RUN.mkdir(parents=True, exist_ok=True)
    lock = open(RUN / f"{name}.lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def launch(name):
    port, command = SERVERS[name][:2]
    if not os.access(command[0], os.X_OK):
        die(f"{name} is not installed; run scripts/live/install.sh")
    if port_taken(port):
        die(f"port {port} is in use by something else; set INF_LIVE_PORT to another number")
    log = open(RUN / f"{name}.log", "wb")
    process = subprocess.Popen([sys.executable, __file__, "_guard", name], start_new_session=True,
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    (RUN / f"{name}.pid").write_text(f"{process.pid} {start_time(process.pid)}\n")
    return process


def await_all(started):
    """Wait until each answers; one that ended is reported with the end of its log."""
    deadline = time.monotonic() + START_SECONDS
    while started:
        for name, process in list(started.items()):
            if answers(name):
                del started[name]
            elif process.poll() is not None or time.monotonic() > deadline:
                why = "ended" if process.poll() is not None else f"not up in {START_SECONDS} s"
                log = (RUN / f"{name}.log").read_text(errors="replace").splitlines()
                sys.stderr.write("\n".join(log[-25:]) + "\n")
                stop([name])
                die(f"{name}: {why}; its log is {RUN / name}.log")
        time.sleep(0.2)


def start(names):
    begun = time.monotonic()
    locks = [locked(name) for name in names]
    started = {name: launch(name) for name in names if not guard_pid(name)}
    if started:
        say(f"starting {', '.join(started)}")
    await_all({name: started.get(name) or Running(name) for name in names})
    if "ollama" in names:
        make_ollama_model()
    if started:
        say(f"up after {time.monotonic() - begun:.0f} s")
    for lock in locks:
        lock.close()


def make_ollama_model():
    """The served model, from the GGUF file, unless it is there; `ollama create` copies the file."""
    name, binary = "ollama", LIVE / "ollama/bin/ollama"
    gguf = CACHE / "inference/models/SmolLM2-135M-Instruct.Q4_1.gguf"
    # A small window, so that a prompt beyond it is soon written.
    modelfile = f"FROM {gguf}\nPARAMETER num_ctx 1024\nPARAMETER num_thread {THREADS}\n"
    written = LIVE / "ollama/Modelfile"
    if written.exists() and written.read_text() == modelfile and have_ollama_model():
        return
    written.write_text(modelfile)
    made = subprocess.run([binary, "create", MODEL_NAME, "-f", written], env=environment(name),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if made.returncode:
        die(f"ollama create failed: {made.stderr.strip()}")


def have_ollama_model():
    with fetch("ollama", "/api/tags") as response:
        names = [model["name"] for model in json.load(response)["models"]]
    return f"{MODEL_NAME}:latest" in names


class Running:
    """A server that was there before: poll() tells as a Popen does."""

    def __init__(self, name):
        self.name = name

    def poll(self):
        return None if guard_pid(self.name) else 1


def stop(names):
    pids = {name: guard_pid(name) for name in names}
    for pid in filter(None, pids.values()):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS + 10
    for name, pid in pids.items():
        while pid and guard_pid(name) and not is_zombie(pid):
            if time.monotonic() > deadline:
                die(f"{name} does not end; its guard is process {pid}")
            time.sleep(0.05)
        (RUN / f"{name}.pid").unlink(missing_ok=True)


def is_zombie(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def kill(names):
    for name in names:
        pid = guard_pid(name)
        if not pid:
            die(f"{name} is not running")
        for child in children_of(pid):
            os.killpg(child, signal.SIGKILL)
        while guard_pid(name) and not is_zombie(pid):
            time.sleep(0.05)
        (RUN / f"{name}.pid").unlink(missing_ok=True)


def status(names):
    for name in names:
        pid = guard_pid(name)
        state = "stopped" if not pid else "up" if answers(name) else "starting or not answering"
        print(f"{name:14} http://127.0.0.1:{SERVERS[name][0]}  {state}")


def env(_):
    values = {
        "INF_LIVE_VLLM_URL": f"http://127.0.0.1:{PORT}/v1",
        "INF_LIVE_VLLM_REPLICA_URL": f"http://127.0.0.1:{PORT + 1}/v1",
        "INF_LIVE_VLLM_LOCKED_URL": f"http://127.0.0.1:{PORT + 2}/v1",
        "INF_LIVE_API_KEY": API_KEY,
        "INF_LIVE_OLLAMA_URL": f"http://127.0.0.1:{PORT + 3}/v1",
        "INF_LIVE_MODEL": MODEL_NAME,
        "INF_LIVE_MODEL_DIR": MODEL,
        "INF_LIVE_ADAPTERS": ADAPTERS,
        "INF_LIVE_SERVERS": Path(__file__).resolve().with_name("servers.sh"),
    }
    for key, value in values.items():
        print(f"export {key}={shlex.quote(str(value))}")


def main():
    commands = {"start": start, "stop": stop, "kill": kill, "status": status, "env": env}
    if sys.argv[1:2] == ["_guard"]:
        return guard(sys.argv[2])
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=commands)
    parser.add_argument("name", nargs="*", choices=[[], *SERVERS])
    args = parser.parse_args()
    defaults = {"start": ["vllm", "ollama"], "kill": []}
    commands[args.command](args.name or defaults.get(args.command, list(SERVERS)))


if __name__ == "__main__":
    main()
