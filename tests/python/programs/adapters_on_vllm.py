"""A program against the reference: adapters of a vLLM server, their errors by httpx's and openai's classes."""

import asyncio
import sys

import httpx
import openai

from inference import GenerationResult, VLLMProvider
from inference.provider import InferenceProvider

BASE = "smol"


async def with_adapter(provider: InferenceProvider, adapter_id: str, path: str) -> GenerationResult:
    await provider.load_adapter(adapter_id, path)
    try:
        return await provider.generate("def fib", model=BASE, adapter_id=adapter_id, max_tokens=16, temperature=0.0)
    finally:
        await provider.unload_adapter(adapter_id)


async def main(pirate: str, json_adapter: str) -> None:
    provider = VLLMProvider()  # VLLM_BASE_URL
    assert await provider.list_adapters() == []

    base = await provider.generate("def fib", model=BASE, max_tokens=16, temperature=0.0)
    assert base.adapter_id is None and base.model == BASE
    result = await with_adapter(provider, "adapter-001", pirate)
    assert (result.model, result.adapter_id) == (BASE, "adapter-001")
    assert await provider.list_adapters() == []

    await asyncio.gather(provider.load_adapter("b", pirate), provider.load_adapter("a", json_adapter))
    assert await provider.list_adapters() == ["a", "b"]
    assert provider._loaded_adapters == {"a", "b"} and "a" in provider._loaded_adapters
    assert isinstance(provider._loaded_adapters, set)

    try:
        await provider.load_adapter("missing", "/no/such/directory")
    except httpx.HTTPStatusError as error:
        assert error.response.status_code in (400, 404)
        assert error.response.text and error.request is not None
    else:
        raise AssertionError("a missing directory was loaded")
    assert "missing" not in provider._loaded_adapters

    try:
        await provider.unload_adapter("never-loaded")
    except httpx.HTTPError as error:  # the base class
        assert isinstance(error, httpx.HTTPStatusError) and error.response.is_client_error
    else:
        raise AssertionError("an unknown adapter was unloaded")

    try:
        await provider.generate("x", model="no-such-model")
    except openai.NotFoundError as error:
        assert error.status_code == 404 and error.response.status_code == 404 and "no-such-model" in error.message
    else:
        raise AssertionError("an unknown model generated")

    await provider.unload_adapter("a")
    await provider.unload_adapter("b")
    assert provider._loaded_adapters == set()

    dead = VLLMProvider(base_url="http://127.0.0.1:9/v1")
    try:
        await dead.generate("x", model=BASE)
    except openai.APIConnectionError:
        pass
    else:
        raise AssertionError("nobody listens there")
    try:
        await dead.load_adapter("a", pirate)
    except httpx.RequestError as error:
        assert "127.0.0.1" in str(error)
    else:
        raise AssertionError("nobody listens there")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
    print("fine")
