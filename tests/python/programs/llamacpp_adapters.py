"""A program against the reference: a GGUF model in process, base and adapters side by side."""

import asyncio
import os
import sys
from dataclasses import asdict

from inference import LlamaCppProvider

QUESTION = "<|im_start|>user\nWhat is rain?<|im_end|>\n<|im_start|>assistant\n"


async def main(model: str, adapters: "dict[str, str]") -> None:
    provider = LlamaCppProvider(model_path=model, n_ctx=512, n_gpu_layers=0)
    answers = {}
    for adapter_id in [None, *adapters]:
        if adapter_id is not None:
            await provider.load_adapter(adapter_id, adapters[adapter_id])
        result = await provider.generate(QUESTION, "ignored", adapter_id=adapter_id, max_tokens=12, temperature=0.0)
        assert result.adapter_id == adapter_id
        assert result.model == os.path.basename(model)[: -len(".gguf")]
        assert 12 < result.token_count < 60 and result.finish_reason in ("stop", "length")
        assert set(asdict(result)) == {"text", "model", "adapter_id", "token_count", "finish_reason"}
        answers[adapter_id] = result.text
    assert len(set(answers.values())) == len(answers), answers
    assert await provider.list_adapters() == sorted(adapters)

    # Back to the base model: the same answer as before.
    again = await provider.generate(QUESTION, "ignored", max_tokens=12, temperature=0.0)
    assert again.text == answers[None]
    for adapter_id in adapters:
        await provider.unload_adapter(adapter_id)
    assert await provider.list_adapters() == []
    await provider.unload_adapter("was never there")  # raises nothing
    try:
        await provider.generate("x", "ignored", adapter_id=next(iter(adapters)))
    except ValueError as error:
        assert next(iter(adapters)) in str(error)
    else:
        raise AssertionError("an unloaded adapter was used")
    try:
        await LlamaCppProvider().generate("x", "ignored")
    except ValueError as error:
        assert "model" in str(error)
    else:
        raise AssertionError("there is no model")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], {"pirate": sys.argv[2], "json": sys.argv[3]}))
    print("fine")
