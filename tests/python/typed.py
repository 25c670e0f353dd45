"""A user's program, for the type checkers alone: mypy --strict and pyright find nothing, and know every type."""

from __future__ import annotations

import asyncio
from typing import Any, Dict, List, Optional

import inference
from inference import (
    Chunk,
    DetailedResult,
    GenerationResult,
    InferenceProvider,
    LlamaCppProvider,
    OllamaProvider,
    VLLMProvider,
    get_provider,
    get_provider_for_step,
)


class Lora:
    """As peft's LoraConfig."""

    def to_dict(self) -> Dict[str, Any]:
        return {"r": 8}


class Mine(InferenceProvider):
    async def generate(
        self,
        prompt: str,
        model: str,
        adapter_id: Optional[str] = None,
        max_tokens: int = 4096,
        system_prompt: Optional[str] = None,
        temperature: Optional[float] = None,
        top_p: Optional[float] = None,
        repetition_penalty: Optional[float] = None,
    ) -> GenerationResult:
        return GenerationResult(text="x", model=model, adapter_id=adapter_id, token_count=1, finish_reason="stop")

    async def load_adapter(self, adapter_id: str, adapter_path: str) -> None:
        return None

    async def unload_adapter(self, adapter_id: str) -> None:
        return None

    async def list_adapters(self) -> List[str]:
        return []


async def reference(provider: InferenceProvider) -> str:
    result = await provider.generate("def hello", model="Qwen2.5-Coder-7B")
    await provider.load_adapter("adapter-001", "/models/adapter-001")
    adapters: List[str] = await provider.list_adapters()
    text: str = result.text
    adapter: Optional[str] = result.adapter_id
    count: int = result.token_count
    return text + str(adapter) + str(count) + str(adapters)


async def beyond(provider: LlamaCppProvider) -> None:
    result: DetailedResult = await provider.generate(
        "", "m", messages=[{"role": "user", "content": "hi"}], adapters={"a": 0.4}, stop=["x"], seed=1,
        json_schema={"type": "object"}, timeout=3.0,
    )
    print(result.timings.total, result.token_ids[0], result.prompt_tokens)
    async with provider.stream("x", "m", top_k=4) as chunks:
        async for chunk in chunks:
            piece: Chunk = chunk
            print(piece.text, end="")
    print(chunks.result.finish_reason, chunks.result.prompt_tokens)
    report = await provider.load_adapter("a", b"...", config={"r": 8})
    print(report.rank, report.evicted, (await provider.load_adapter("b", b"...", config=Lora())).scale)
    ids: List[int] = await provider.tokenize("x")
    print(ids, await provider.detokenize(ids), await provider.render([{"role": "user", "content": "x"}]))
    print(provider.sync.generate("x", "m", seed=3).steps, provider.stats().adapters)
    for part in provider.sync.stream("x", "m"):
        print(part.text)
    print((await inference.inspect("x", base="y"))["fits"])


def errors() -> None:
    try:
        asyncio.run(reference(get_provider("vllm")))
    except inference.HTTPStatusError as error:
        print(error.status_code, error.body)
    except inference.UnsupportedOperationError as unsupported:
        print(unsupported.code)


providers: List[InferenceProvider] = [
    VLLMProvider("http://a/v1", api_key="x"),
    OllamaProvider(),
    Mine(),
    get_provider_for_step({"provider": "ollama"}),
]
