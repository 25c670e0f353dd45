"""Results: five fields for whoever knows GenerationResult alone, the rest as attributes."""

import copy
import dataclasses
import pickle

import inference
from conftest import PIRATE, run


def result_of(local, **more):
    return run(local.generate("Once upon a time", "m", max_tokens=5, temperature=0, **more))


def test_a_result_is_a_generation_result(local):
    result = result_of(local)
    plain = inference.GenerationResult(
        result.text, result.model, result.adapter_id, result.token_count, result.finish_reason)
    assert result == plain and plain == result
    assert not result != plain
    assert result != dataclasses.replace(plain, text="other")
    assert result != "text"
    assert result == result_of(local)
    assert repr(result) == repr(plain)
    assert dataclasses.asdict(result) == dataclasses.asdict(plain)
    assert list(dataclasses.asdict(result)) == ["text", "model", "adapter_id", "token_count", "finish_reason"]
    assert dataclasses.astuple(result) == dataclasses.astuple(plain)
    changed = dataclasses.replace(result, text="x")
    assert changed.text == "x" and repr(changed) == repr(dataclasses.replace(plain, text="x"))
    unpickled = pickle.loads(pickle.dumps(result))
    assert type(unpickled) is inference.GenerationResult and unpickled == plain
    assert copy.copy(result) == plain


def test_what_else_a_result_knows(local):
    result = result_of(local)
    assert result.prompt_tokens == 4 and result.completion_tokens == 5
    assert result.token_count == 9
    assert len(result.token_ids) == 5 and all(isinstance(i, int) for i in result.token_ids)
    assert local.sync.detokenize(result.token_ids) == result.text
    assert result.steps + result.accepted_tokens >= 5 and result.mean_rows >= 1.0
    assert 0 <= result.accepted_tokens <= result.drafted_tokens
    assert result.adapters == () and result.adapter_generation == 0
    assert result.logprobs is None and result.reasoning is None and result.tool_calls is None
    timings = result.timings
    assert timings.total > 0 and timings.first_token > 0 and timings.decode > 0
    assert timings.total < 60


def test_adapters_of_a_result(local):
    async def main():
        report = await local.load_adapter("style", PIRATE)
        assert report.adapter_id == "style" and report.format == "peft" and report.rank == 8
        assert report.modules > 0 and report.tensors == 2 * report.modules and report.bytes > 0
        assert not report.replaced
        again = await local.load_adapter("style", PIRATE)
        assert again.replaced and again.generation > report.generation
        result = await local.generate("Hi", "m", adapter_id="style", adapter_scale=0.5, max_tokens=2)
        assert result.adapters == (("style", again.generation, 0.5),)
        assert result.adapter_generation == again.generation
        assert result.adapters[0].scale == 0.5
        await local.unload_adapter("style")

    run(main())


def test_logprobs(local):
    result = result_of(local, logprobs=2)
    assert len(result.logprobs) == 5
    for entry, token in zip(result.logprobs, result.token_ids):
        assert entry.token_id == token and entry.logprob <= 0 and len(entry.top) == 2
        assert entry.top[0].logprob >= entry.top[1].logprob
        assert entry.top[0].logprob >= entry.logprob
    assert "".join(entry.piece for entry in result.logprobs) == result.text


def test_counts_that_a_server_does_not_tell(vllm):
    body = ('{"id":"x","object":"chat.completion.chunk","created":1,"model":"smol","choices":[{"index":0,'
            '"delta":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}')
    event = "data: %s\n\ndata: [DONE]\n\n" % body
    vllm.order("next", path="/v1/chat/completions", act="raw",
               text="HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n%s"
               % (len(event), event))
    result = run(inference.VLLMProvider(vllm.url).generate("x", "smol"))
    assert result.text == "hi"
    assert result.token_count == 0 and result.prompt_tokens is None and result.completion_tokens is None
