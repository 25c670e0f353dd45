"""A program against the reference: providers of one's own, from nothing and on top of another."""

import asyncio
import time
from typing import Dict, List, Optional

import inference.factory
from inference import GenerationResult, InferenceProvider, VLLMProvider, get_provider


class Echo(InferenceProvider):
    def __init__(self) -> None:
        self.adapters: Dict[str, str] = {}

    async def generate(
        self,
        prompt: str,
        model: str,
        adapter_id: "str | None" = None,
        max_tokens: int = 4096,
        system_prompt: "str | None" = None,
        temperature: "float | None" = None,
        top_p: "float | None" = None,
        repetition_penalty: "float | None" = None,
    ) -> GenerationResult:
        if adapter_id is not None and adapter_id not in self.adapters:
            raise ValueError("Adapter %r not loaded" % adapter_id)
        return GenerationResult(prompt[:max_tokens], model, adapter_id, len(prompt), "stop")

    async def load_adapter(self, adapter_id: str, adapter_path: str) -> None:
        self.adapters[adapter_id] = adapter_path

    async def unload_adapter(self, adapter_id: str) -> None:
        self.adapters.pop(adapter_id, None)

    async def list_adapters(self) -> List[str]:
        return sorted(self.adapters)


class Counting(VLLMProvider):
    """Counts tokens and time of another provider's calls."""

    def __init__(self, base_url: Optional[str] = None) -> None:
        super().__init__(base_url)
        self.tokens = 0
        self.seconds = 0.0

    async def generate(self, prompt: str, model: str, *args: object, **kwargs: object) -> GenerationResult:
        begin = time.perf_counter()
        result = await super().generate(prompt, model, *args, **kwargs)
        self.tokens += result.token_count
        self.seconds += time.perf_counter() - begin
        return result


class Incomplete(InferenceProvider):
    async def list_adapters(self) -> List[str]:
        return []


async def main() -> None:
    echo = Echo()
    inference.factory._provider_cache[("vllm", "http://echo/v1")] = echo
    assert get_provider("vllm", "http://echo/v1") is echo
    await echo.load_adapter("a", "/x")
    assert (await echo.generate("hello", "m", "a", 3)).text == "hel"
    try:
        await echo.generate("hello", "m", adapter_id="b")
    except ValueError:
        pass
    else:
        raise AssertionError
    counting = Counting()
    await asyncio.gather(*[counting.generate("x", "smol", max_tokens=3) for _ in range(5)])
    assert counting.tokens > 15 and counting.seconds > 0
    try:
        Incomplete()  # type: ignore[abstract]
    except TypeError:
        pass
    else:
        raise AssertionError("three methods are missing")


if __name__ == "__main__":
    asyncio.run(main())
    print("fine")
