"""Programs and suites written against the reference's documentation alone: they run unchanged."""

import os
import subprocess
import sys

import pytest

from conftest import JSON, PIRATE

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")


@pytest.fixture
def servers(vllm, ollama):
    vllm.set(delay=0.002)
    return {"VLLM_BASE_URL": vllm.url, "OLLAMA_BASE_URL": ollama.url}


def run(servers, *command):
    done = subprocess.run([sys.executable, "-X", "dev", "-W", "error", *command], cwd=PROGRAMS, capture_output=True,
                          text=True, timeout=90, env=dict(os.environ, **servers))
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("name", ["factory_and_cache", "fan_out", "own_provider", "servers_of_ones_own",
                                  "steps_in_threads"])
def test_program(servers, name):
    assert run(servers, name + ".py").stdout == "fine\n"


def test_with_adapters_of_servers(servers):
    pytest.importorskip("openai")
    assert run(servers, "adapters_on_vllm.py", PIRATE, JSON).stdout == "fine\n"
    done = run(servers, "ollama_without_adapters.py", PIRATE)
    assert done.stdout == "fine\n" and "style" in done.stderr  # the warning


def test_with_pydantic(servers):
    pytest.importorskip("pydantic")
    assert run(servers, "results_elsewhere.py").stdout == "fine\n"


def test_in_process(servers, model_path):
    assert run(servers, "llamacpp_adapters.py", model_path, PIRATE, JSON).stdout == "fine\n"


def test_with_a_checkpoint(servers, checkpoint, peft_directory):
    assert run(servers, "transformers_adapters.py", checkpoint, peft_directory).stdout == "fine\n"


def test_suites(servers):
    assert "OK" in run(servers, "with_unittest.py").stderr
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", PROGRAMS, "--noconftest", "-c", os.devnull]
    assert " passed" in run(servers, *command, "suite_with_pytest.py").stdout
