"""py.typed: mypy --strict and pyright find nothing, in the package and in a user's program."""

import json
import os
import subprocess
import sys

import pytest

import inference

HERE = os.path.dirname(os.path.abspath(__file__))
WRONG = """import inference
async def f(p: inference.VLLMProvider) -> int:
    return (await p.generate('x', 'm', seed='no')).text
"""


def examples():
    folder = os.path.join(os.path.dirname(os.path.dirname(HERE)), "examples", "python")
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".py"))


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
    wrong.write_text(WRONG)
    found = check("--cache-dir=%s" % (tmp_path / "cache"), str(wrong), cwd=str(tmp_path))
    assert found.count("error:") == 2, found  # it can fail


@pytest.mark.skipif(not os.environ.get("INFERENCE_PYRIGHT"), reason="there is no npm to install pyright with")
def test_pyright(tmp_path):
    """The installed package, a user's program, the examples; and it can fail."""
    package = os.path.dirname(inference.__file__)
    os.symlink(package, str(tmp_path / "inference"))  # a site-packages folder itself is not checked
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(
        {"include": ["inference"], "typeCheckingMode": "standard", "pythonVersion": "3.10"}))

    def check(*arguments):
        done = subprocess.run([os.environ["INFERENCE_PYRIGHT"], "--pythonpath", sys.executable, *arguments],
                              cwd=str(tmp_path), capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    code, found = check()
    assert code == 0 and "0 errors" in found and "No source files" not in found, found
    os.unlink(str(tmp_path / "inference"))
    os.unlink(str(tmp_path / "pyrightconfig.json"))
    code, found = check(os.path.join(HERE, "typed.py"), *examples())
    assert code == 0, found
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG)
    code, found = check(str(wrong))
    assert code == 1 and "2 errors" in found, found


def test_the_examples_are_typed(tmp_path):
    pytest.importorskip("mypy")
    assert check("--cache-dir=%s" % (tmp_path / "cache"), *examples(), cwd=str(tmp_path)) == ""


def test_py_typed_is_there():
    assert os.path.exists(os.path.join(os.path.dirname(inference.__file__), "py.typed"))
