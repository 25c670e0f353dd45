"""A program against the reference: a checkpoint by its directory, a PEFT adapter, several tasks at once."""

import asyncio
import sys

from inference.factory import get_provider
from inference.transformers_provider import TransformersProvider


async def main(model: str, adapter: str) -> None:
    provider = TransformersProvider(model_name=model, device="cpu", torch_dtype="float32")
    base = await provider.generate("def hello", model="ignored", max_tokens=8)
    await provider.load_adapter("made", adapter)
    assert await provider.list_adapters() == ["made"]
    first, second, plain = await asyncio.gather(
        provider.generate("def hello", model="ignored", adapter_id="made", max_tokens=8),
        provider.generate("def hello", model="ignored", adapter_id="made", max_tokens=8),
        provider.generate("def hello", model="ignored", max_tokens=8),
    )
    assert first == second and plain == base and first.text != base.text
    assert first.adapter_id == "made" and first.model == model
    await provider.unload_adapter("made")
    try:
        await provider.generate("x", model="ignored", adapter_id="made")
    except ValueError:
        pass
    else:
        raise AssertionError("an unloaded adapter was used")
    by_name = get_provider("transformers", model)
    assert isinstance(by_name, TransformersProvider) and by_name is get_provider("transformers", model)
    assert (await by_name.generate("def hello", model="", max_tokens=8)).text == base.text


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
    print("fine")
