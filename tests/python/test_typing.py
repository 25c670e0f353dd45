"""py.typed: mypy --strict finds nothing, in the package and in a user's program."""

import os
import subprocess
import sys

import pytest

import inference

HERE = os.path.dirname(os.path.abspath(__file__))


def check(*arguments, cwd):
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *arguments], cwd=cwd,
                          capture_output=True, text=True)
    return done.stdout + done.stderr


def test_mypy(tmp_path):
    pytest.importorskip("mypy")
    # From another folder, by name: what is checked is the installed package, as a user's mypy sees it.
    found = check("-p", "inference", "--cache-dir=%s" % (tmp_path / "cache"), cwd=str(tmp_path))
    assert found == ""
    found = check("--cache-dir=%s" % (tmp_path / "cache"), os.path.join(HERE, "typed.py"), cwd=str(tmp_path))
    assert found == ""
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import inference\n"
                     "async def f(p: inference.VLLMProvider) -> int:\n"
                     "    return (await p.generate('x', 'm', seed='no')).text\n")
    found = check("--cache-dir=%s" % (tmp_path / "cache"), str(wrong), cwd=str(tmp_path))
    assert found.count("error:") == 2, found  # it can fail


def test_the_examples_are_typed(tmp_path):
    pytest.importorskip("mypy")
    examples = os.path.join(os.path.dirname(os.path.dirname(HERE)), "examples", "python")
    for name in sorted(os.listdir(examples)):
        if name.endswith(".py"):
            found = check("--cache-dir=%s" % (tmp_path / "cache"), os.path.join(examples, name), cwd=str(tmp_path))
            assert found == "", name


def test_py_typed_is_there():
    assert os.path.exists(os.path.join(os.path.dirname(inference.__file__), "py.typed"))
