"""The examples, and the programs in the documents, as a user runs them."""

import os
import re
import subprocess
import sys

import pytest

import inference
from conftest import MODEL, PIRATE, ROOT

EXAMPLES = {
    "hello.py": [MODEL, PIRATE],
    "agent_loop.py": [MODEL, "2"],
    "compare_scales.py": [MODEL, PIRATE],
}


def start(*command):
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_none_is_left_out():
    assert set(EXAMPLES) == {n for n in os.listdir(os.path.join(ROOT, "examples", "python")) if n.endswith(".py")}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name):
    out = start(os.path.join(ROOT, "examples", "python", name), *EXAMPLES[name])
    assert len(out) > 20
    if name == "agent_loop.py":
        assert "2 subtasks" in out and "up to" in out


@pytest.mark.parametrize("document", ["README.md", "docs/python.md", "bindings/python/README.md"])
def test_the_program_of_a_document(document):
    with open(os.path.join(ROOT, document), encoding="utf-8") as f:
        blocks = re.findall(r"```python\n(.*?)```", f.read(), re.S)
    program = next(b for b in blocks if "asyncio.run(main())" in b)
    program = program.replace('"model.gguf"', repr(MODEL)).replace('"adapters/pirate"', repr(PIRATE))
    assert len(start("-c", program)) > 20


def test_the_pages_name_what_there_is():
    """Every class, method and option that the pages name in backquotes exists."""
    from inference import _request, exceptions

    known = set(inference.__all__) | set(dir(inference)) | set(dir(exceptions)) | set(_request.OPTIONS)
    for cls in (inference.VLLMProvider, inference.OllamaProvider, inference.LlamaCppProvider,
                inference.TransformersProvider, inference.InferenceProvider, inference.TextStream,
                inference.DetailedResult, inference.AdapterReport):
        known |= set(dir(cls)) | set(getattr(cls, "__annotations__", ()))
        known |= set(cls.__init__.__code__.co_varnames) if hasattr(cls.__init__, "__code__") else set()
    classes = set()
    for page in ("python.md", "python-reference.md", "python-streaming.md", "python-asyncio.md"):
        with open(os.path.join(ROOT, "docs", page), encoding="utf-8") as f:
            text = f.read()
        for name in re.findall(r"`(?:provider\.|inference\.|exceptions\.)?([A-Za-z_]+)(?:\(.*?\)|=.*?)?`", text):
            if re.fullmatch(r"[A-Z][a-z]+[A-Za-z]*(Error|Provider|Result|Report)", name):
                classes.add(name)
    builtin = {"FileNotFoundError", "TypeError", "ValueError", "LookupError", "RuntimeError", "ArithmeticError",
               "APIStatusError", "APIConnectionError", "APITimeoutError"}
    assert classes - builtin <= known, classes - builtin - known
    assert len(classes) > 15
