"""The reference's names, signatures, defaults and examples, as its documentation gives them."""

import abc
import copy
import dataclasses
import inspect
import os
import pickle
import sys

import pytest

import inference
from conftest import PIRATE, run

EMPTY = inspect.Parameter.empty
GENERATE = [("prompt", EMPTY), ("model", EMPTY), ("adapter_id", None), ("max_tokens", 4096),
            ("system_prompt", None), ("temperature", None), ("top_p", None), ("repetition_penalty", None)]
METHODS = {
    "generate": GENERATE,
    "load_adapter": [("adapter_id", EMPTY), ("adapter_path", EMPTY)],
    "unload_adapter": [("adapter_id", EMPTY)],
    "list_adapters": [],
}
CONSTRUCTORS = {
    "VLLMProvider": [("base_url", None)],
    "OllamaProvider": [("base_url", None)],
    "LlamaCppProvider": [("model_path", None), ("n_ctx", 4096), ("n_gpu_layers", -1)],
    "TransformersProvider": [("model_name", ""), ("device", "cpu"), ("torch_dtype", "auto")],
}
MODULES = {
    "provider": ["InferenceProvider", "GenerationResult"],
    "factory": ["get_provider", "get_provider_for_step"],
    "exceptions": ["UnsupportedOperationError"],
    "vllm_provider": ["VLLMProvider"],
    "ollama_provider": ["OllamaProvider"],
    "llamacpp_provider": ["LlamaCppProvider"],
    "transformers_provider": ["TransformersProvider"],
}


def parameters(function):
    """Those that may be given by position; what is beyond the reference is keyword only."""
    found = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    assert all(p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in found)
    return [(p.name, p.default) for p in found if p.kind is p.POSITIONAL_OR_KEYWORD]


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_provider_classes(name):
    provider = getattr(inference, name)
    assert issubclass(provider, inference.InferenceProvider)
    assert parameters(provider.__init__) == CONSTRUCTORS[name]
    for method, wanted in METHODS.items():
        assert parameters(getattr(provider, method)) == wanted
        assert inspect.iscoroutinefunction(getattr(provider, method))
    provider()  # without a model, without a server


def test_abstract_provider():
    assert issubclass(inference.InferenceProvider, abc.ABC)
    assert inference.InferenceProvider.__abstractmethods__ == set(METHODS)
    for method, wanted in METHODS.items():
        assert parameters(getattr(inference.InferenceProvider, method)) == wanted
    with pytest.raises(TypeError):
        inference.InferenceProvider()


@pytest.mark.parametrize("name", MODULES)
def test_modules(name):
    module = __import__("inference." + name, fromlist=["x"])
    for member in MODULES[name]:
        assert getattr(module, member) is getattr(inference, member)


def test_everything_exported_is_there():
    scope = {}
    exec("from inference import *", scope)
    assert set(inference.__all__) <= set(scope)
    assert not set(inference.__all__) & set(sys.stdlib_module_names if sys.version_info >= (3, 10) else ["inspect"])
    with pytest.raises(AttributeError):
        inference.no_such_name


def test_factory_signatures():
    assert parameters(inference.get_provider) == [("provider_type", None), ("base_url", None)]
    assert parameters(inference.get_provider_for_step) == [("step_config", EMPTY)]


def test_generation_result():
    result = inference.GenerationResult(
        text="def hello(): pass",
        model="Qwen/Qwen2.5-Coder-7B",
        adapter_id=None,
        token_count=10,
        finish_reason="stop",
    )
    names = [field.name for field in dataclasses.fields(result)]
    assert names == ["text", "model", "adapter_id", "token_count", "finish_reason"]
    assert result == inference.GenerationResult("def hello(): pass", "Qwen/Qwen2.5-Coder-7B", None, 10, "stop")
    result.text = "other"


def test_unsupported_operation_error():
    with pytest.raises(inference.UnsupportedOperationError, match="does not support adapters"):
        raise inference.UnsupportedOperationError("OllamaProvider does not support adapters.")
    assert issubclass(inference.UnsupportedOperationError, Exception)


# ---- the factory


def test_get_provider_examples():
    provider = inference.get_provider("vllm")
    assert isinstance(provider, inference.VLLMProvider)
    provider = inference.get_provider_for_step({"provider": "ollama"})
    assert isinstance(provider, inference.OllamaProvider)


def test_get_provider_is_identical():
    assert inference.get_provider("vllm") is inference.get_provider("vllm")
    assert inference.get_provider() is inference.get_provider("VLLM", "http://localhost:8100/v1")
    assert inference.get_provider("vllm", "http://a/v1") is not inference.get_provider("vllm", "http://b/v1")
    assert inference.get_provider("ollama") is inference.get_provider_for_step(
        {"provider": "ollama", "base_url": "http://localhost:11434/v1", "other": "key"})


def test_get_provider_reads_the_environment_at_the_call(monkeypatch):
    monkeypatch.setenv("INFERENCE_PROVIDER", "ollama")
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://there/v1")
    monkeypatch.setenv("VLLM_BASE_URL", "http://v/v1")
    assert inference.get_provider()._base_url == "http://there/v1"
    assert inference.VLLMProvider()._base_url == "http://v/v1"
    monkeypatch.setenv("LLAMACPP_MODEL_PATH", "/models/a.gguf")
    assert inference.get_provider("llamacpp").model_path == "/models/a.gguf"
    monkeypatch.setenv("TRANSFORMERS_MODEL_NAME", "/models/b")
    monkeypatch.setenv("TRANSFORMERS_DEVICE", "cuda")
    provider = inference.get_provider("transformers")
    assert provider.model_name == "/models/b"
    assert provider._options["device"] == "cuda"
    assert inference.TransformersProvider()._options["device"] == "cpu"


def test_get_provider_refuses():
    with pytest.raises(ValueError, match="vllm.*ollama.*llamacpp"):
        inference.get_provider("openai")
    with pytest.raises(ValueError):
        inference.get_provider_for_step({"provider": "openai"})


def test_cache_is_a_dict():
    cache = inference.factory._provider_cache
    provider = inference.get_provider("vllm", "http://a/v1")
    assert cache[("vllm", "http://a/v1")] is provider
    cache.clear()
    assert inference.get_provider("vllm", "http://a/v1") is not provider
    inference.factory._clear_cache()
    assert cache == {}


def test_tests_may_put_another_class_in_a_provider_s_place():
    """What suites of programs against the reference do."""
    from unittest.mock import AsyncMock, patch

    with patch("inference.vllm_provider.VLLMProvider") as made:
        assert inference.get_provider("vllm", "http://q/v1") is made.return_value
        made.assert_called_once()
    result = inference.GenerationResult("a", "b", None, 1, "stop")
    with patch.object(inference.OllamaProvider, "generate", new=AsyncMock(return_value=result)):
        assert run(inference.get_provider("ollama").generate("x", "m")) is result


def test_a_provider_written_in_python_can_stand_in_the_cache():
    class Mine(inference.InferenceProvider):
        async def generate(self, prompt, model, adapter_id=None, max_tokens=4096, system_prompt=None,
                           temperature=None, top_p=None, repetition_penalty=None):
            return inference.GenerationResult(prompt.upper(), model, adapter_id, 2, "stop")

        async def load_adapter(self, adapter_id, adapter_path):
            self.loaded = [adapter_id]

        async def unload_adapter(self, adapter_id):
            self.loaded.remove(adapter_id)

        async def list_adapters(self):
            return sorted(self.loaded)

    provider = Mine()
    inference.factory._provider_cache[("vllm", "http://mine/v1")] = provider
    assert inference.get_provider("vllm", "http://mine/v1") is provider
    assert run(provider.generate("hi", "m")).text == "HI"
    assert provider.sync.generate("hi", "m").text == "HI"
    provider.sync.load_adapter("a", "/x")
    assert provider.sync.list_adapters() == ["a"]

    async def stream():
        chunks = provider.stream("hi", "m")
        texts = [chunk.text async for chunk in chunks]
        return texts, chunks.result

    assert run(stream()) == (["HI"], inference.GenerationResult("HI", "m", None, 2, "stop"))
    assert [c.text for c in provider.sync.stream("hi", "m")] == ["HI"]


# ---- the providers' examples


def test_vllm_examples(vllm, tmp_path):
    provider = inference.VLLMProvider(base_url=vllm.url)
    assert provider._base_url == vllm.url
    with pytest.raises(AttributeError, match="AsyncOpenAI"):
        provider._client

    async def main():
        result = await provider.generate("def hello", model="smol", max_tokens=8)
        assert isinstance(result, inference.GenerationResult)
        assert result.text and result.model == "smol" and result.adapter_id is None
        assert result.token_count == result.prompt_tokens + result.completion_tokens > 8
        assert result.finish_reason == "length"
        assert await provider.list_adapters() == []
        await provider.load_adapter("adapter-002", PIRATE)
        await provider.load_adapter("adapter-001", PIRATE)
        assert await provider.list_adapters() == ["adapter-001", "adapter-002"]
        assert provider._loaded_adapters == {"adapter-001", "adapter-002"}
        assert eval(repr(provider._loaded_adapters)) == provider._loaded_adapters
        for copied in (copy.copy, copy.deepcopy, lambda ids: pickle.loads(pickle.dumps(ids))):
            mine = copied(provider._loaded_adapters)
            mine.add("planned")  # a copy is one's own
            assert mine == {"adapter-001", "adapter-002", "planned"}
        result = await provider.generate("def fib", "smol", "adapter-001", 8)
        assert result.model == "smol" and result.adapter_id == "adapter-001"
        await provider.unload_adapter("adapter-001")
        assert await provider.list_adapters() == ["adapter-002"]
        with pytest.raises(inference.HTTPStatusError) as error:
            await provider.load_adapter("adapter-003", str(tmp_path / "nowhere"))
        assert error.value.status_code == 404
        with pytest.raises(inference.HTTPStatusError) as error:
            await provider.unload_adapter("adapter-009")
        assert error.value.status_code == 404

    run(main())


def test_ollama_examples(ollama, caplog):
    provider = inference.OllamaProvider(base_url=ollama.url)
    assert provider._base_url == ollama.url
    with pytest.raises(AttributeError, match="AsyncOpenAI"):
        provider._client

    async def main():
        result = await provider.generate("def hello", model="smol", max_tokens=8)
        assert result.text and result.model == "smol" and result.finish_reason == "length"
        result = await provider.generate("def hello", model="smol", adapter_id="adapter-001", max_tokens=8)
        assert result.adapter_id is None
        with pytest.raises(inference.UnsupportedOperationError):
            await provider.load_adapter("adapter-001", "/models/adapter-001")
        with pytest.raises(inference.UnsupportedOperationError):
            await provider.unload_adapter("adapter-001")
        assert await provider.list_adapters() == []
        for unused in ("", "a" * 300, "a\0", None):  # always: neither argument matters
            with pytest.raises(inference.UnsupportedOperationError):
                await provider.load_adapter(unused, unused)
            with pytest.raises(inference.UnsupportedOperationError):
                await provider.unload_adapter(unused)
        with pytest.raises(inference.UnsupportedOperationError):
            provider.sync.load_adapter("a", b"weights")
        with pytest.raises(inference.UnsupportedOperationError):
            provider.sync.unload_adapter("")

    run(main())
    warned = [r for r in caplog.records if r.name == "inference" and "adapter-001" in r.getMessage()]
    assert warned and warned[0].levelname == "WARNING"


def test_llamacpp_examples(local, model_path, caplog):
    async def main():
        result = await local.generate("def hello", model="ignored", max_tokens=6, temperature=0)
        assert result.text and result.finish_reason == "length"
        assert result.model == os.path.basename(model_path)[: -len(".gguf")]
        assert result.token_count == result.prompt_tokens + 6
        with pytest.raises(ValueError, match="adapter-001"):
            await local.generate("def hello", model="ignored", adapter_id="adapter-001")
        await local.load_adapter("adapter-001", PIRATE)
        assert await local.list_adapters() == ["adapter-001"]
        piratical = await local.generate("def hello", "ignored", adapter_id="adapter-001", max_tokens=6,
                                         temperature=0)
        assert piratical.adapter_id == "adapter-001"
        assert piratical.text != result.text
        await local.unload_adapter("adapter-001")
        assert await local.list_adapters() == []
        assert not caplog.records
        await local.unload_adapter("adapter-001")  # raises nothing

    run(main())
    assert [r.levelname for r in caplog.records if "adapter-001" in r.getMessage()] == ["WARNING"]


def test_llamacpp_reports_an_adapter_s_faults_at_once(local, tmp_path):
    async def main():
        with pytest.raises(OSError) as error:
            await local.load_adapter("a", str(tmp_path / "nowhere"))
        assert isinstance(error.value, FileNotFoundError)
        broken = tmp_path / "broken"
        broken.mkdir()
        (broken / "adapter_config.json").write_text('{"peft_type":"LORA","r":8,"lora_alpha":8}')
        (broken / "adapter_model.safetensors").write_bytes(b"nonsense")
        with pytest.raises(inference.BadFormatError):
            await local.load_adapter("a", broken)
        assert await local.list_adapters() == []

    run(main())


def test_system_prompt_goes_before_the_prompt(local):
    async def main():
        a = await local.generate("Hello", "m", system_prompt="Be brief.", max_tokens=4, temperature=0)
        b = await local.generate("Be brief.\n\nHello", "m", max_tokens=4, temperature=0)
        assert a.text == b.text and a.prompt_tokens == b.prompt_tokens

    run(main())


def test_construction_without_a_model_succeeds():
    with pytest.raises(ValueError, match="LLAMACPP_MODEL_PATH"):
        run(inference.LlamaCppProvider().generate("x", "m"))


def test_transformers_provider_without_a_checkpoint_says_so():
    """What it does with one: test_transformers.py."""
    with pytest.raises(inference.InferenceError) as error:
        run(inference.TransformersProvider(model_name="/nowhere/at/all").generate("def hello", model="ignored"))
    assert "/nowhere/at/all" in str(error.value)
    with pytest.raises(ValueError, match="TRANSFORMERS_MODEL_NAME"):
        run(inference.TransformersProvider().generate("x", "m"))
