"""Every chat answer that was recorded from the real vLLM and Ollama, replayed byte for byte."""

import os

import pytest

import inference
from conftest import run
from fake import TRANSCRIPTS, Fake


def replay(provider, server, path):
    """The recorded answers of one file; how many there were."""
    n = 0
    for index in range(1000):
        told = server.order("replay", file=path, index=index)
        if told["expected"]:
            one(provider, path, told["expected"])
            n += 1
        if told["last"]:
            return n


def one(provider, path, want):
    try:
        result = run(provider.generate("What is gravity?", "smol", max_tokens=8, temperature=0))
    except inference.InferenceError as error:
        refused(path, want, error)
        return
    assert want["status"] == 200 and not want["error"] and want["finish"], path
    assert want["choices"] == 1, path
    assert result.text == want["text"], path
    assert result.finish_reason == want["finish"], path
    assert (result.prompt_tokens, result.completion_tokens) == tuple(
        n if n >= 0 else None for n in (want["prompt"], want["completion"])), path


def refused(path, want, error):
    if want["status"] != 200:
        assert isinstance(error, inference.HTTPStatusError), path
        assert error.status_code == error.response.status_code == want["status"], path
        assert error.body and error.response.text == error.body, path
        return
    if want["error"]:
        assert isinstance(error, inference.BackendError), path
    else:
        assert want["finish"] is None or want["choices"] > 1, path
        assert isinstance(error, inference.ProtocolError), path
    if want["choices"] == 1:
        assert (error.partial.text if error.partial else "") == want["text"], path


@pytest.mark.parametrize("kind, fake, make, least", [
    ("vllm", "vllm", inference.VLLMProvider, 20),
    ("ollama", "ollama", inference.OllamaProvider, 20),
    ("ollama", "plain", inference.OllamaProvider, 8),
])
def test_every_recorded_answer(kind, fake, make, least):
    server = Fake(fake)
    try:
        provider = make(server.url, max_retries=0)
        folder = os.path.join(TRANSCRIPTS, kind)
        n = 0
        for name in sorted(os.listdir(folder)):
            if name.endswith(".json") and name.startswith("v1-") == (fake == "plain"):
                n += replay(provider, server, os.path.join(folder, name))
        assert n > least
    finally:
        server.close()
