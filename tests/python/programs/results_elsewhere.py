"""A program against the reference: results stored, sent, validated; signatures read by frameworks."""

import asyncio
import copy
import dataclasses
import inspect
import json
import multiprocessing
import pickle
import sys
import typing

import pydantic

from inference import GenerationResult, InferenceProvider, VLLMProvider, get_provider, get_provider_for_step
from inference import LlamaCppProvider, OllamaProvider, TransformersProvider


def length(result: GenerationResult) -> int:
    return len(result.text)


class Answer(pydantic.BaseModel):
    task: str
    result: GenerationResult


@dataclasses.dataclass
class Scored(GenerationResult):
    score: float = 0.0


async def main() -> None:
    result = await get_provider("vllm").generate("x", model="smol", max_tokens=8, temperature=0.0)
    fields = {"text", "model", "adapter_id", "token_count", "finish_reason"}
    plain = GenerationResult(**dataclasses.asdict(result))
    assert plain == result and GenerationResult(**vars(result)) == plain and set(vars(result)) == fields
    assert json.loads(json.dumps(result.__dict__)) == dataclasses.asdict(plain)
    assert pickle.loads(pickle.dumps(result)) == copy.copy(result) == copy.deepcopy(result) == plain
    assert Scored(**vars(result), score=0.5).text == result.text
    answer = Answer(task="x", result=result)
    assert Answer.model_validate_json(answer.model_dump_json()).result == plain
    assert set(json.loads(answer.model_dump_json())["result"]) == fields
    changed = dataclasses.replace(result, text="other")
    assert changed.text == "other" and changed.model == result.model and changed != result
    result.text = result.text.strip()  # no frozen dataclass
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map(length, [result]) == [len(result.text)]


def signatures() -> None:
    for cls in (InferenceProvider, VLLMProvider, OllamaProvider, LlamaCppProvider, TransformersProvider):
        for name in ("generate", "load_adapter", "unload_adapter", "list_adapters"):
            method = getattr(cls, name)
            assert inspect.iscoroutinefunction(method) and method.__doc__
            hints = typing.get_type_hints(method)
            if name == "generate":
                assert issubclass(hints["return"], GenerationResult) and hints["prompt"] is str
                assert hints["temperature"] == typing.Optional[float]
        typing.get_type_hints(cls.__init__)
        if cls is not InferenceProvider:
            assert typing.get_type_hints(cls.stream)["prompt"] is str
    for function in (get_provider, get_provider_for_step):
        assert typing.get_type_hints(function)["return"] is InferenceProvider
    assert typing.get_type_hints(GenerationResult)["adapter_id"] == typing.Optional[str]


if __name__ == "__main__":
    asyncio.run(main())
    if sys.version_info >= (3, 10):
        signatures()
    print("fine")
