"""A program against the reference: a base model on Ollama, and what it does where adapters are not to be had."""

import asyncio
import logging
import sys

from inference import OllamaProvider
from inference.exceptions import UnsupportedOperationError
from inference.provider import GenerationResult, InferenceProvider

logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


async def best_effort(provider: InferenceProvider, path: str) -> GenerationResult:
    adapter_id: "str | None" = "style"
    try:
        await provider.load_adapter("style", path)
    except UnsupportedOperationError as error:
        assert str(error)
        adapter_id = None
    return await provider.generate("Write a haiku", "smol", adapter_id=adapter_id, max_tokens=12,
                                   system_prompt="You are a poet.", temperature=0.7, top_p=0.9,
                                   repetition_penalty=1.1)


async def main(path: str) -> None:
    provider = OllamaProvider()  # OLLAMA_BASE_URL
    result = await best_effort(provider, path)
    assert result.text and result.adapter_id is None and result.model == "smol"
    assert result.finish_reason in ("stop", "length") and result.token_count > 0
    ignored = await provider.generate("Hi", model="smol", adapter_id="style", max_tokens=4)
    assert ignored.adapter_id is None
    for operation in (provider.load_adapter("a", path), provider.unload_adapter("a")):
        try:
            await operation
        except UnsupportedOperationError:
            continue
        raise AssertionError("Ollama has adapters now?")
    assert await provider.list_adapters() == []


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
    print("fine")
