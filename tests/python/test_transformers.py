"""TransformersProvider on a checkpoint made here (tiny.py)."""

import asyncio

import pytest

import inference
from conftest import run
from tiny import LAYERS, adapter


def test_it_works_like_the_others(checkpoint, monkeypatch):
    provider = inference.TransformersProvider(model_name=checkpoint, n_ctx=256)

    async def main():
        result = await provider.generate("def hello", model="ignored", max_tokens=8)
        assert result.model == checkpoint and result.token_count > 8
        again = await provider.generate("def hello", model="ignored", max_tokens=8)
        assert again == result and again.token_ids == result.token_ids  # greedy, as the checkpoint says
        assert await provider.stream("def hello", "", max_tokens=8).text() == result.text
        assert await provider.tokenize("Hi") == [72, 105]
        assert await provider.detokenize([72, 105]) == "Hi"
        assert await provider.render([{"role": "user", "content": "x"}]) == "[user] x\n"
        await provider.generate("", "", messages=[{"role": "user", "content": "x"}], max_tokens=2)
        assert (await provider.inspect())["architecture"]
        with pytest.raises(ValueError):
            await provider.generate("x", "", adapter_id="missing")
        weights, config = adapter()
        report = await provider.load_adapter("made", weights, config=config)
        assert report.rank == 4 and report.scale == 2.0 and report.modules == LAYERS
        scales = (0.0, 1.0, 4.0)
        texts = await asyncio.gather(*[
            provider.generate("def hello", "", "made", 8, adapter_scale=scale) for scale in scales])
        assert texts[0].token_ids == result.token_ids and texts[2].token_ids != result.token_ids
        await provider.unload_adapter("made")
        assert await provider.list_adapters() == []

    run(main())
    monkeypatch.setenv("TRANSFORMERS_MODEL_NAME", checkpoint)
    by_environment = inference.get_provider("transformers")
    assert by_environment.sync.generate("def hello", "x", max_tokens=2).model == checkpoint


def test_torch_dtype_and_device(checkpoint):
    provider = inference.TransformersProvider(checkpoint, "cpu", "bfloat16", n_ctx=128)
    assert provider.sync.generate("def hello", "x", max_tokens=2).completion_tokens >= 1
    for wrong in ({"torch_dtype": "float7"}, {"device": "abacus"}):
        with pytest.raises((ValueError, inference.UnsupportedOperationError)):
            inference.TransformersProvider(checkpoint, **wrong).sync.generate("x", "m")
