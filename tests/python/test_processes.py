"""Import, fork, multiprocessing, exit: none hangs, none crashes."""

import os
import subprocess
import sys

import pytest

from conftest import PIRATE, python


def test_import_loads_no_library():
    code, out, err = python("""
import inference, threading
inference.VLLMProvider(); inference.LlamaCppProvider("x.gguf"); inference.get_provider("ollama")
maps = open("/proc/self/maps").read()
print("libinference" in maps, "libcurl" in maps, threading.active_count())
""")
    assert (code, out) == (0, "False False 1\n"), err


def test_what_blocks_needs_no_asyncio(vllm, model_path):
    """Neither the import nor a blocking call brings it, nor what it is made of."""
    code, out, err = python("""
import sys, inference
def brought(): print(sorted({"asyncio", "concurrent.futures", "ssl", "socket", "subprocess"} & set(sys.modules)))
print(sorted({"ctypes", "json"} & set(sys.modules)))
server, local = inference.VLLMProvider(sys.argv[1]), inference.LlamaCppProvider(sys.argv[2], n_ctx=256)
for provider in (server, local):
    assert provider.sync.generate("x", "smol", max_tokens=2).text
    assert provider.sync.stream("x", "smol", max_tokens=2).text()
    assert provider.sync.list_adapters() == []
ids = local.sync.tokenize("x")
local.sync.detokenize(ids), local.sync.render([{"role": "user", "content": "x"}]), local.sync.inspect(), local.sync.logits(ids), local.sync.stats()
local.sync.load_adapter("a", sys.argv[3]), local.sync.unload_adapter("a"), local.sync.load(), local.sync.unload()
try:
    server.sync.stream("x", "unknown").text()
except inference.HTTPStatusError:
    brought()
print(issubclass(inference.exceptions.TimeoutError, TimeoutError))
import asyncio
print(issubclass(inference.exceptions.TimeoutError, asyncio.TimeoutError))
""", vllm.url, model_path, PIRATE)
    assert (code, out) == (0, "[]\n[]\nTrue\nTrue\n"), err


def test_fork_while_another_thread_imports():
    """The child, which has one thread, would wait for ever for the other to end its import."""
    code, out, err = python("""
import os, sys, threading, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("inference."):
            time.sleep(0.03)
sys.meta_path.insert(0, Slow())
def work():
    import inference
    asyncio.run(inference.inspect(sys.argv[1]))
import asyncio
thread = threading.Thread(target=work)
thread.start()
while thread.is_alive():
    time.sleep(0.05)
    pid = os.fork()
    if pid == 0:
        import inference
        assert inference.VLLMProvider().sync.list_adapters() == []
        asyncio.run(inference.inspect(sys.argv[1]))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
print("fine")
""", PIRATE, timeout=60)
    assert (code, out, err) == (0, "fine\n", "")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(vllm, method):
    code, out, err = python("""
import asyncio, multiprocessing, sys, inference

def child(provider, queue):
    first = asyncio.run(provider.generate("x", "smol", max_tokens=3, temperature=0))
    second = provider.sync.generate("x", "smol", max_tokens=3, temperature=0)
    queue.put((first.text, second.text, provider._base_url))

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    provider = inference.VLLMProvider(sys.argv[1])
    mine = asyncio.run(provider.generate("x", "smol", max_tokens=3, temperature=0))
    queue = context.Queue()
    children = [context.Process(target=child, args=(provider, queue)) for _ in range(3)]
    for c in children: c.start()
    for c in children:
        texts = queue.get(timeout=30)
        assert texts == (mine.text, mine.text, sys.argv[1]), texts
    for c in children:
        c.join(30); assert c.exitcode == 0
    again = asyncio.run(provider.generate("x", "smol", max_tokens=3, temperature=0))
    assert again == mine
    print("fine")
""", vllm.url, method) if method == "fork" else spawned(vllm.url, method)
    assert (code, out) == (0, "fine\n"), err


def spawned(url, method):
    """Such a child imports the program anew, so it is a file."""
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "spawned.py")
    done = subprocess.run([sys.executable, program, url, method], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_fork_with_operations_in_flight(model_path):
    code, out, err = python("""
import asyncio, os, sys, inference
provider = inference.LlamaCppProvider(sys.argv[1], n_ctx=512)
provider.sync.load_adapter("style", sys.argv[2])

async def main():
    task = asyncio.create_task(provider.generate("Count", "m", max_tokens=400, ignore_eos=True))
    await asyncio.sleep(0.3)
    pid = os.fork()
    if pid == 0:
        try:
            assert provider.sync.list_adapters() == []       # a child begins anew
            assert provider.sync.generate("Hi", "m", max_tokens=3).text is not None
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    _, status = await asyncio.get_running_loop().run_in_executor(None, os.waitpid, pid, 0)
    assert status == 0, status
    task.cancel()
    return provider.sync.list_adapters()

assert asyncio.run(main()) == ["style"]
print("fine")
""", model_path, os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(__file__))), "adapters", "pirate"))
    assert (code, out) == (0, "fine\n"), err


@pytest.mark.parametrize("uses", ["nothing", "a call"])
def test_a_forked_child_that_exits_as_programs_do(vllm, uses):
    """Not by _exit: atexit runs, the interpreter takes itself apart, and nothing of the parent's is touched.
    The loop is in another thread: asyncio itself lets no child close a loop that it has from its parent."""
    vllm.set(delay=0.05)
    code, out, err = python("""
import asyncio, os, sys, threading, time, inference
provider = inference.VLLMProvider(sys.argv[1])
texts = []
async def main():
    tasks = [provider.generate("x", "smol", max_tokens=40, temperature=0) for _ in range(5)]
    texts.extend(r.text for r in await asyncio.gather(*tasks))
thread = threading.Thread(target=lambda: asyncio.run(main()))
thread.start()
time.sleep(0.2)
pid = os.fork()
if pid == 0:
    if sys.argv[2] != "nothing":
        assert provider.sync.generate("x", "smol", max_tokens=2).text
        assert asyncio.run(provider.generate("x", "smol", max_tokens=2)).text
    sys.exit(7)
_, status = os.waitpid(pid, 0)
assert status >> 8 == 7, status
assert texts == []  # still in flight
thread.join()
assert len(texts) == 5 and len(set(texts)) == 1
print("fine")
""", vllm.url, uses)
    assert (code, out) == (0, "fine\n"), err


EXITS = {
    "in flight": """
async def main():
    asyncio.create_task(provider.generate("x", "smol"))
    await asyncio.sleep(0.1)
asyncio.run(main())
""",
    "a loop that is never closed": """
loop = asyncio.new_event_loop()
task = loop.create_task(provider.generate("x", "smol"))
loop.run_until_complete(asyncio.sleep(0.1))
""",
    "daemon threads": """
def work():
    provider.sync.generate("x", "smol")
for _ in range(3): threading.Thread(target=work, daemon=True).start()
threading.Thread(target=lambda: asyncio.run(provider.generate("x", "smol")), daemon=True).start()
time.sleep(0.2)
""",
    "a stream": """
stream = provider.sync.stream("x", "smol")
threading.Thread(target=lambda: next(stream), daemon=True).start()
time.sleep(0.2)
""",
    "a stream of a provider in Python": """
class Mine(inference.InferenceProvider):
    async def generate(self, *args, **kwargs): await asyncio.sleep(100)
    load_adapter = unload_adapter = list_adapters = generate
threading.Thread(target=lambda: next(Mine().sync.stream("x", "smol")), daemon=True).start()
time.sleep(0.2)
""",
    "sys.exit in a task": """
async def main():
    task = asyncio.create_task(provider.generate("x", "smol"))
    await asyncio.sleep(0.1)
    sys.exit(0)
asyncio.run(main())
""",
}


ASYNCIO_SAYS = ("a loop that is never closed",)  # that a task was destroyed


@pytest.mark.parametrize("how", EXITS)
def test_exit_with_operations_in_flight(vllm, how):
    vllm.set(hung=True)
    code, out, err = python("import asyncio, atexit, sys, threading, time\n"
                            "atexit.register(time.sleep, 0.2)\n"  # after the package's: time for what threads say
                            "import inference\n"
                            "provider = inference.VLLMProvider(sys.argv[1])\n%s\nprint('end', flush=True)\n"
                            % EXITS[how], vllm.url, timeout=20)
    assert (code, err) == (0, "") or how in ASYNCIO_SAYS and "Fatal" not in err and code == 0, err


def test_what_daemon_threads_say_at_exit(vllm):
    """Of what they raise themselves, all."""
    vllm.set(hung=True)
    code, out, err = python("""
import atexit, sys, threading, time
atexit.register(time.sleep, 0.5)  # after the package's own: they have time to say it
import inference
provider = inference.VLLMProvider(sys.argv[1])
def work():
    try:
        provider.sync.generate("x", "smol")
    finally:
        print("ended", flush=True)
        {}["a key"]
threading.Thread(target=work, daemon=True).start()
time.sleep(0.3)
""", vllm.url, timeout=20)
    assert (code, out) == (0, "ended\n") and "KeyError" in err


def test_calls_after_the_library_was_closed_at_exit(vllm):
    """An exit handler of the program's that runs after the package's own: it hears that it is late."""
    code, out, err = python("""
import asyncio, atexit, sys, inference
def late():
    for call in (lambda: provider.sync.generate("x", "smol"), lambda: next(provider.sync.stream("x", "smol")),
                 lambda: asyncio.run(provider.generate("x", "smol"))):
        try:
            call()
        except inference.StateError as error:
            print("late")
atexit.register(late)
provider = inference.VLLMProvider(sys.argv[1])
assert provider.sync.stream("x", "smol", max_tokens=2).text()
""", vllm.url, timeout=20)
    assert (code, out, err) == (0, "late\n" * 3, "")


def test_exit_while_a_model_decodes(model_path):
    code, out, err = python("""
import asyncio, sys, inference
provider = inference.LlamaCppProvider(sys.argv[1], n_ctx=512)
async def main():
    asyncio.create_task(provider.generate("Count", "m", max_tokens=400, ignore_eos=True))
    await asyncio.sleep(0.5)
asyncio.run(main())
print("fine")
""", model_path, timeout=30)
    assert (code, out) == (0, "fine\n"), err


def test_a_cpu_below_the_baseline_gets_an_error_at_import(tmp_path):
    """The package's own check, with another /proc/cpuinfo and a baseline beyond any CPU."""
    from inference import _cpu

    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu sse sse2 avx\n\nprocessor\t: 1\nflags\t: avx2\n")
    assert _cpu.missing(["avx", "avx2", "fma"], str(cpuinfo)) == ["avx2", "fma"]
    assert _cpu.missing(["avx"], str(tmp_path / "none")) == []
    code, out, err = python("""
import sys, types
baseline = types.ModuleType("inference._baseline")
baseline.CPU_FEATURES = ("avx", "avx1024")
sys.modules["inference._baseline"] = baseline
try:
    import inference
except ImportError as error:
    print(error)
print("libinference" in open("/proc/self/maps").read())
""")
    assert code == 0 and "avx1024" in out and out.endswith("False\n"), err


def test_a_library_of_another_version_is_refused():
    code, out, err = python("""
import inference
from inference import _abi
_abi.REQUEST.size += 8
try:
    inference.VLLMProvider().sync.list_adapters()
except ImportError as error:
    print("version" in str(error))
""")
    assert (code, out) == (0, "True\n"), err
