"""The same wheel on every other Python that this machine has: CPython from 3.9 on, PyPy, free-threaded builds."""

import glob
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from conftest import MODEL, PIRATE

WHEEL = os.environ.get("INFERENCE_WHEEL")
PROGRAM = """
import sys, threading, inference
model, adapter, url = sys.argv[1:]
assert inference.VLLMProvider(url).sync.stream("x", "smol", max_tokens=3).text()
assert "asyncio" not in sys.modules
import asyncio
from inference.exceptions import *
assert issubclass(TimeoutError, asyncio.TimeoutError) and TimeoutError is inference.exceptions.TimeoutError

async def main():
    provider = inference.LlamaCppProvider(model, n_ctx=256)
    a = await provider.generate("Once upon a time", "m", max_tokens=4, temperature=0)
    b = await provider.stream("Once upon a time", "m", max_tokens=4, temperature=0).text()
    assert a.text == b and a.token_ids
    await provider.load_adapter("a", adapter)
    assert await provider.list_adapters() == ["a"]
    try:
        await provider.generate("x", "m", adapter_id="b")
    except ValueError as error:
        assert "b" in str(error)
    server = inference.VLLMProvider(url)
    results = await asyncio.gather(*[server.generate("x", "smol", max_tokens=3, temperature=0) for _ in range(30)])
    assert len({r.text for r in results}) == 1
    task = asyncio.ensure_future(server.generate("x", "smol", max_tokens=1500))
    await asyncio.sleep(0.05)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass

for _ in range(2):
    asyncio.run(main())

shared, errors = inference.VLLMProvider(url), []

async def several():
    results = await asyncio.gather(*[shared.generate("x", "smol", max_tokens=3, temperature=0) for _ in range(20)])
    text = await shared.stream("x", "smol", max_tokens=3, temperature=0).text()
    assert {r.text for r in results} == {text}

def work():
    try:
        for _ in range(3):
            asyncio.run(several())
            assert shared.sync.generate("x", "smol", max_tokens=3).text
    except BaseException as error:
        errors.append(error)

threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert errors == [], errors
if sys.version_info >= (3, 13) and "free-threading" in sys.version:
    assert not sys._is_gil_enabled()  # nothing here asks for it
assert inference.VLLMProvider(url).sync.generate("x", "smol", max_tokens=2).text
print("fine")
"""


def interpreters():
    """Every one of 3.9 and later but the one that runs the tests; pyenv's too."""
    names = ["python3.%d" % n for n in range(9, 20)] + ["python3.%dt" % n for n in range(13, 20)] + ["pypy3"]
    found = [shutil.which(name) for name in names]
    for path in glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python")):
        version = re.search(r"3\.(\d+)", path)
        found.append(path if version and int(version.group(1)) >= 9 else None)
    known, out = {os.path.realpath(sys.executable)}, []
    for path in found:
        if path and os.path.realpath(path) not in known:
            known.add(os.path.realpath(path))
            runs = subprocess.run([path, "-c", "import sys, ctypes, asyncio; print(sys.version_info >= (3, 9))"],
                                  capture_output=True, text=True)
            if runs.stdout == "True\n":
                out.append(path)
    return out


@pytest.mark.skipif(not WHEEL, reason="INFERENCE_WHEEL is not set")
@pytest.mark.parametrize("interpreter", interpreters())
def test_interpreter(interpreter, vllm, tmp_path):
    with zipfile.ZipFile(WHEEL) as wheel:
        wheel.extractall(tmp_path)
    done = subprocess.run([interpreter, "-c", PROGRAM, MODEL, PIRATE, vllm.url], capture_output=True, text=True,
                          timeout=100, env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")
