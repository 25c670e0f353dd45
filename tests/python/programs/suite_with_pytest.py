"""A suite against the reference, as its users write them: fixtures that clear the cache, patches, mocks."""

import asyncio
from unittest.mock import AsyncMock, MagicMock, create_autospec, patch

import pytest

import inference
import inference.factory
from inference import GenerationResult, InferenceProvider, OllamaProvider, VLLMProvider, get_provider

RESULT = GenerationResult(text="def hello(): pass", model="m", adapter_id=None, token_count=10, finish_reason="stop")


@pytest.fixture(autouse=True)
def clean_cache(monkeypatch):
    for name in ("INFERENCE_PROVIDER", "VLLM_BASE_URL", "OLLAMA_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    inference.factory._provider_cache.clear()
    yield
    inference.factory._provider_cache.clear()


async def agent(provider, prompt):
    """What is under test."""
    for adapter_id in await provider.list_adapters():
        prompt = (await provider.generate(prompt, "m", adapter_id=adapter_id)).text
    return (await provider.generate(prompt, model="m")).text


def test_default_is_vllm():
    assert isinstance(get_provider(), VLLMProvider)


@pytest.mark.parametrize("name,cls", [("vllm", VLLMProvider), ("ollama", OllamaProvider), ("VLLM", VLLMProvider)])
def test_by_environment(monkeypatch, name, cls):
    monkeypatch.setenv("INFERENCE_PROVIDER", name)
    assert isinstance(get_provider(), cls)


def test_another_cache(monkeypatch):
    monkeypatch.setattr(inference.factory, "_provider_cache", {})
    first = get_provider("vllm")
    assert inference.factory._provider_cache == {("vllm", "http://localhost:8100/v1"): first}


def test_url_by_environment(monkeypatch):
    monkeypatch.setenv("VLLM_BASE_URL", "http://one/v1")
    first = get_provider("vllm")
    monkeypatch.setenv("VLLM_BASE_URL", "http://two/v1")
    assert get_provider("vllm") is not first
    assert first._base_url == "http://one/v1" and first._loaded_adapters == set()


def test_an_agent_on_mocks():
    provider = AsyncMock(spec=InferenceProvider)
    provider.list_adapters.return_value = ["a", "b"]
    provider.generate.return_value = RESULT
    assert asyncio.run(agent(provider, "x")) == RESULT.text
    assert provider.generate.await_count == 3
    provider.generate.assert_awaited_with(RESULT.text, model="m")


def test_autospec():
    provider = create_autospec(VLLMProvider, instance=True)
    provider.generate.return_value = RESULT
    provider.list_adapters.return_value = []
    assert asyncio.run(agent(provider, "x")) == RESULT.text
    with pytest.raises(TypeError):
        provider.load_adapter("only an id")
    assert isinstance(provider, VLLMProvider)


def test_patched_methods():
    with patch.object(VLLMProvider, "generate", new_callable=AsyncMock, return_value=RESULT) as generate:
        assert asyncio.run(agent(get_provider("vllm"), "x")) == RESULT.text
        generate.assert_awaited_once_with("x", model="m")
    provider = VLLMProvider()
    with patch.object(provider, "list_adapters", AsyncMock(return_value=[])), \
            patch.object(provider, "generate", AsyncMock(return_value=RESULT)):
        assert asyncio.run(agent(provider, "x")) == RESULT.text
    assert "generate" not in vars(provider)


def test_patched_factory():
    with patch("inference.get_provider", return_value=MagicMock(spec=InferenceProvider)) as made:
        assert inference.get_provider("vllm") is made.return_value
    with patch("inference.factory.get_provider", return_value=MagicMock()) as made:
        assert inference.get_provider_for_step({"provider": "ollama"}) is made.return_value
        made.assert_called_once()
    with patch("inference.ollama_provider.OllamaProvider") as made:
        assert get_provider("ollama") is made.return_value


def test_errors(monkeypatch):
    with pytest.raises(ValueError):
        get_provider("bogus")
    with pytest.raises(inference.UnsupportedOperationError):
        asyncio.run(OllamaProvider().load_adapter("a", "/a"))
    with pytest.raises(AttributeError, match="AsyncOpenAI"):
        OllamaProvider()._client
    with pytest.raises(AttributeError, match="AsyncOpenAI"):
        VLLMProvider()._client = MagicMock()
    # What the reference lets a test change is refused aloud, never ignored.
    with pytest.raises(AttributeError, match="load_adapter"):
        VLLMProvider()._loaded_adapters.add("a")
    with pytest.raises(AttributeError, match="load_adapter"):
        VLLMProvider()._loaded_adapters = {"a"}
    assert VLLMProvider()._loaded_adapters | {"a"} == {"a"} and VLLMProvider()._loaded_adapters.copy() == set()
