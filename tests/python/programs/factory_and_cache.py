"""A program against the reference: one provider a backend, by configuration."""

import os

import inference
from inference import InferenceProvider, OllamaProvider, UnsupportedOperationError, VLLMProvider, get_provider
from inference import get_provider_for_step
from inference.factory import _provider_cache
from inference.llamacpp_provider import LlamaCppProvider

STEPS = [
    {"name": "plan", "provider": "ollama", "model": "smol"},
    {"name": "code", "provider": "vllm", "base_url": "http://localhost:8100/v1", "model": "smol"},
    {"name": "review", "provider": "vllm", "base_url": "http://gpu-2:8100/v1", "model": "smol"},
    {"name": "default", "model": "smol"},
]


def main() -> None:
    _provider_cache.clear()
    os.environ.pop("INFERENCE_PROVIDER", None)
    os.environ.pop("VLLM_BASE_URL", None)
    default = get_provider()
    assert isinstance(default, VLLMProvider) and default._base_url == "http://localhost:8100/v1"
    providers = [get_provider_for_step(step) for step in STEPS]
    assert [type(p) for p in providers] == [OllamaProvider, VLLMProvider, VLLMProvider, VLLMProvider]
    assert providers[1] is providers[3] is default is get_provider(provider_type="vllm", base_url=None)
    assert providers[2] is not default
    assert all(isinstance(p, InferenceProvider) for p in providers)
    assert len(_provider_cache) == 3
    assert set(_provider_cache) >= {("vllm", "http://localhost:8100/v1"), ("vllm", "http://gpu-2:8100/v1")}

    os.environ["VLLM_BASE_URL"] = "http://elsewhere:1/v1"
    other = get_provider("vllm")
    assert other is not default and other._base_url == "http://elsewhere:1/v1"
    assert VLLMProvider().__class__ is VLLMProvider and VLLMProvider() is not VLLMProvider()
    os.environ["INFERENCE_PROVIDER"] = "ollama"
    assert isinstance(get_provider(), OllamaProvider)
    assert isinstance(get_provider("llamacpp", "/models/a.gguf"), LlamaCppProvider)
    for wrong in ("openai", "tgi"):
        try:
            get_provider(wrong)
        except ValueError as error:
            assert wrong in str(error) and "vllm" in str(error) and "ollama" in str(error)
        else:
            raise AssertionError(wrong)
    try:
        get_provider_for_step({"provider": "nope"})
    except ValueError:
        pass
    else:
        raise AssertionError
    inference.factory._clear_cache()
    assert _provider_cache == {} and get_provider("vllm") is not other
    assert issubclass(UnsupportedOperationError, Exception)


if __name__ == "__main__":
    main()
    print("fine")
