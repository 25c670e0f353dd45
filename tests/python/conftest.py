import asyncio
import gc
import os
import sys

import pytest

import inference
import tiny
from fake import Fake

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODEL = os.environ.get("INFERENCE_TEST_MODEL", "")
PIRATE = os.path.join(ROOT, "adapters", "pirate")
JSON = os.path.join(ROOT, "adapters", "json")

# What a program must not have by chance.
for name in ("VLLM_BASE_URL", "OLLAMA_BASE_URL", "LLAMACPP_MODEL_PATH", "INFERENCE_PROVIDER", "VLLM_API_KEY",
             "TRANSFORMERS_MODEL_NAME", "TRANSFORMERS_DEVICE", "http_proxy", "HTTP_PROXY", "https_proxy",
             "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def model_path():
    if not os.path.exists(MODEL):
        pytest.fail("INFERENCE_TEST_MODEL does not name the small model")
    return MODEL


@pytest.fixture(scope="session")
def local(model_path):
    """One provider over the real model for the whole run: it stays loaded."""
    return inference.LlamaCppProvider(model_path, n_ctx=1024, n_threads=2)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-llama")
    tiny.write_checkpoint(folder)
    return str(folder)


@pytest.fixture(scope="session")
def peft_directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-adapter")
    tiny.write_adapter(folder)
    return str(folder)


@pytest.fixture
def vllm():
    server = Fake("vllm")
    yield server
    server.close()


@pytest.fixture
def ollama():
    server = Fake("ollama")
    yield server
    server.close()


@pytest.fixture(autouse=True)
def fresh_cache():
    inference.factory._clear_cache()
    yield
    inference.factory._clear_cache()


def run(work):
    return asyncio.run(work)


def pending():
    """Operations that the package still keeps, in all loops that are not closed."""
    from inference import _library

    gc.collect()
    lib = _library._library
    return sum(len(queue.pending) for loop, queue in lib.queues.items() if not loop.is_closed()) if lib else 0


def python(code, *arguments, timeout=60, **environment):
    """A program of its own; returns (exit code, stdout, stderr). From 3.12 on Python warns of a fork beside threads."""
    import subprocess

    quiet = "ignore:This process (pid=:DeprecationWarning"  # the message begins so
    done = subprocess.run([sys.executable, "-W", quiet, "-c", code, *arguments], capture_output=True, text=True,
                          timeout=timeout, env=dict(os.environ, **environment))
    return done.returncode, done.stdout, done.stderr
