"""What goes beyond the reference."""

import json
import os

import pytest

import inference
from conftest import JSON, MODEL, PIRATE, run

CHAT = [{"role": "user", "content": "What is rain?"}]


def test_messages(local):
    async def main():
        a = await local.generate("", "m", messages=CHAT, max_tokens=6, temperature=0)
        b = await local.generate(None, "m", messages=CHAT, max_tokens=6, temperature=0)
        rendered = await local.render(CHAT)
        c = await local.generate(rendered, "m", max_tokens=6, temperature=0)
        assert a.text == b.text == c.text
        d = await local.generate("", "m", messages=CHAT, system_prompt="You are terse.", max_tokens=6,
                                 temperature=0)
        assert d.prompt_tokens != a.prompt_tokens

    run(main())


def test_messages_to_servers(vllm, ollama):
    async def main():
        await inference.VLLMProvider(vllm.url).generate("", "smol", messages=CHAT, max_tokens=2)
        await inference.OllamaProvider(ollama.url).generate("", "smol", messages=CHAT, max_tokens=2)

    run(main())
    for server, path in ((vllm, "/v1/chat/completions"), (ollama, "/api/chat")):
        asked = [json.loads(r["body"]) for r in server.requests() if r["path"] == path]
        assert [a["messages"] for a in asked] == [CHAT]


def test_everything_is_sent(vllm):
    run(inference.VLLMProvider(vllm.url).generate(
        "x", "smol", None, 7, "sys", 0.5, 0.9, 1.1, stop=["a", "b"], seed=2**40, top_k=3, min_p=0.1,
        frequency_penalty=0.2, presence_penalty=0.3, ignore_eos=True, stop_token_ids=[5],
        json_schema={"type": "object"}, extra_body={"priority": 3}, extra_headers={"X-Trace": "abc"}))
    (request,) = [r for r in vllm.requests() if r["path"] == "/v1/chat/completions"]
    asked = json.loads(request["body"])
    assert asked["messages"] == [{"role": "system", "content": "sys"}, {"role": "user", "content": "x"}]
    for key, value in {"max_tokens": 7, "stop": ["a", "b"], "seed": 2**40, "top_k": 3, "ignore_eos": True,
                       "stop_token_ids": [5], "priority": 3}.items():
        assert asked[key] == value, key
    for key, value in {"temperature": 0.5, "top_p": 0.9, "repetition_penalty": 1.1, "min_p": 0.1,
                       "frequency_penalty": 0.2, "presence_penalty": 0.3}.items():
        assert abs(asked[key] - value) < 1e-6, key
    assert asked["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert request["headers"]["x-trace"] == "abc"


def test_nothing_is_sent_that_was_not_given(vllm):
    vllm.set(delay=0)
    run(inference.VLLMProvider(vllm.url).generate("x", "smol"))
    first, second = [json.loads(r["body"]) for r in vllm.requests() if r["path"] == "/v1/chat/completions"]
    assert not {"temperature", "top_p", "seed", "stop", "repetition_penalty"} & set(first)
    # The default of max_tokens is beyond this server's window: it is asked once more without it.
    assert first["max_tokens"] == 4096 and "max_tokens" not in second


def test_keys_and_headers(vllm):
    vllm.set(key="secret")
    with pytest.raises(inference.HTTPStatusError) as error:
        run(inference.VLLMProvider(vllm.url).generate("x", "smol", max_tokens=1))
    assert error.value.status_code == 401
    assert run(inference.VLLMProvider(vllm.url, api_key="secret").generate("x", "smol", max_tokens=1)).text
    for provider in (inference.VLLMProvider(vllm.url, api_key="secret"), inference.VLLMProvider("http://u:secret@h/v1"),
                     inference.OllamaProvider(headers={"Authorization": "secret"})):
        assert "secret" not in repr(provider) and type(provider).__name__ in repr(provider)
    for provider in (inference.LlamaCppProvider("m.gguf", 512, n_threads=2),
                     inference.TransformersProvider("m", torch_dtype="bfloat16")):
        assert repr(eval(repr(provider), vars(inference))) == repr(provider)


def test_speculation(local, vllm):
    def text(**options):
        return run(local.generate("Once upon a time, upon a time", "m", max_tokens=12, temperature=0, **options))

    without = text(speculate="off")
    having = text(speculate="lookup", reference="once upon a time")
    assert having.text == without.text == text().text
    assert without.drafted_tokens == without.accepted_tokens == 0
    assert having.drafted_tokens > 0 and having.steps + having.accepted_tokens == 12
    with pytest.raises(inference.InvalidArgumentError):
        text(speculate="often")
    with pytest.raises(inference.InvalidArgumentError):
        text(speculate="off", reference="once")
    with pytest.raises(inference.UnsupportedOperationError):
        run(inference.VLLMProvider(vllm.url).generate("x", "smol", reference="once"))


def test_seed_stop_and_schema(local):
    async def main():
        a = await local.generate("Once", "m", max_tokens=8, seed=3, temperature=1.0)
        b = await local.generate("Once", "m", max_tokens=8, seed=3, temperature=1.0)
        c = await local.generate("Once", "m", max_tokens=8, seed=4, temperature=1.0)
        assert a.text == b.text != c.text
        whole = await local.generate("Once upon a time", "m", max_tokens=8, temperature=0)
        word = whole.text.split()[2]
        cut = await local.generate("Once upon a time", "m", max_tokens=8, temperature=0, stop=word)
        assert cut.finish_reason == "stop" and word not in cut.text and whole.text.startswith(cut.text)
        schema = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"],
                  "additionalProperties": False}
        for given in (schema, json.dumps(schema)):
            made = await local.generate("", "m", messages=CHAT, json_schema=given, max_tokens=40)
            assert json.loads(made.text)["colour"] in ("red", "blue")
        digits = await local.generate("A number:", "m", grammar="root ::= [0-9]{3}", max_tokens=10)
        assert digits.text.isdigit() and len(digits.text) == 3

    run(main())


def test_pydantic_models(local):
    pydantic = pytest.importorskip("pydantic")

    class Colour(pydantic.BaseModel):
        red: bool
        name: str = pydantic.Field(max_length=5)

    made = run(local.generate("", "m", messages=CHAT, json_schema=Colour, max_tokens=60, temperature=0))
    assert isinstance(Colour.model_validate_json(made.text), Colour)
    with pytest.raises(TypeError):
        run(local.generate("", "m", messages=CHAT, json_schema=int))


def test_several_adapters(local):
    async def main():
        await local.load_adapter("style", PIRATE)
        await local.load_adapter("task", JSON)
        try:
            one = await local.generate("", "m", messages=CHAT, adapters={"style": 0.4}, max_tokens=6, temperature=0)
            assert one.adapter_id == "style" and abs(one.adapters[0].scale - 0.4) < 1e-6
            for both in ({"style": 0.4, "task": 1.0}, ["style", ("task", 0.5)]):
                result = await local.generate("", "m", messages=CHAT, adapters=both, max_tokens=4)
                assert [a.id for a in result.adapters] == ["style", "task"] and result.adapter_id is None
            off = await local.generate("", "m", messages=CHAT, adapter_id="style", adapter_scale=0.0,
                                       max_tokens=6, temperature=0)
            base = await local.generate("", "m", messages=CHAT, max_tokens=6, temperature=0)
            assert off.text == base.text
        finally:
            await local.unload_adapter("style")
            await local.unload_adapter("task")

    run(main())


def test_text_and_numbers(local):
    async def main():
        ids = await local.tokenize("Hello, world")
        assert await local.detokenize(ids) == "Hello, world"
        assert await local.tokenize("Hello, world", add_special=False) == ids  # this model has none
        assert "What is rain?" in await local.render(CHAT)
        assert (await local.render(CHAT)).startswith(await local.render(CHAT, add_generation_prompt=False))
        about = await local.inspect()
        assert about["kind"] == "model" and about["architecture"] == "llama"
        about = await local.inspect(PIRATE)
        assert about["kind"] == "adapter" and about["fits"] is True
        assert (await inference.inspect(PIRATE, MODEL))["fits"] is True
        assert "fits" not in await inference.inspect(PIRATE)
        with pytest.raises(ValueError, match="path"):
            await inference.VLLMProvider().inspect()  # it has no model that could be read here
        assert "fits" not in await inference.VLLMProvider().inspect(PIRATE)
        logits = await local.logits(ids, top=3, probe=[0, 5])
        assert len(logits.top) == 3 and len(logits.probe) == 2 and len(logits.all) == about_vocab
        assert logits.top[0][1] == max(logits.all) and logits.all[5] == logits.probe[1]
        with pytest.raises(ValueError):
            await local.detokenize([10**8])

    about_vocab = local.sync.inspect()["n_vocab"]
    run(main())


def test_load_unload_and_stats(model_path):
    provider = inference.LlamaCppProvider(model_path, n_ctx=256)
    assert not provider.stats().model_loaded

    async def main():
        await provider.load()
        assert provider.stats().model_loaded
        await provider.generate("x", "m", max_tokens=2)
        assert provider.stats().requests == 1
        await provider.unload()
        assert not provider.stats().model_loaded

    run(main())
    provider.sync.load()
    assert provider.sync.stats().model_loaded
    provider.sync.unload()


def test_unloading_gives_memory_back(model_path):
    """What of the file was looked at is the process's no more."""
    def resident():
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    provider = inference.LlamaCppProvider(model_path, n_ctx=256).sync
    first = provider.generate("Once upon a time", "m", max_tokens=3, temperature=0)
    loaded = resident()
    provider.unload()
    assert resident() < loaded - os.path.getsize(model_path) // 2
    assert provider.generate("Once upon a time", "m", max_tokens=3, temperature=0) == first


def test_options_of_constructors(model_path):
    for wrong in ({"n_ctx": 3}, {"max_sequences": 0}, {"flash_attention": "perhaps"}, {"adapter_overflow": "x"}):
        with pytest.raises(inference.InvalidArgumentError):
            inference.LlamaCppProvider(model_path, **wrong).sync.load()
    with pytest.raises(TypeError):
        inference.LlamaCppProvider(model_path, n_ctx="many").sync.load()
    provider = inference.LlamaCppProvider(model_path, n_ctx=256, max_adapters=1, adapter_overflow="evict")
    provider.sync.load_adapter("a", PIRATE)
    report = provider.sync.load_adapter("b", JSON)
    assert report.evicted == ("a",) and provider.sync.list_adapters() == ["b"]


def test_numbers_of_other_kinds(local):
    import decimal
    import enum

    class Two(enum.IntEnum):
        TWO = 2

    class Time:
        def __float__(self):
            return 30.0

    assert local.sync.generate("x", "m", max_tokens=Two.TWO, temperature=decimal.Decimal("0.5"), timeout=Time()).text
    for wrong in ({"temperature": 10**400}, {"timeout": 10**400}, {"timeout": 0}, {"timeout": float("nan")}):
        with pytest.raises(inference.InvalidArgumentError, match=next(iter(wrong))):
            local.sync.generate("x", "m", max_tokens=2, **wrong)
    for wrong in ({"timeout": "5"}, {"timeout": True}, {"stop": 5}, {"stop": b"x"}, {"adapters": [("a",)]}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            local.sync.generate("x", "m", max_tokens=2, **wrong)


def test_messages_of_other_kinds(local):
    import collections
    import types

    expected = local.sync.generate("", "m", messages=CHAT, max_tokens=3, temperature=0)
    for chat in (tuple(CHAT), [types.MappingProxyType(CHAT[0])], collections.UserList([collections.UserDict(CHAT[0])])):
        assert local.sync.generate("", "m", messages=chat, max_tokens=3, temperature=0) == expected
    with pytest.raises(ValueError, match="no JSON"):
        local.sync.generate("", "m", messages=(m for m in CHAT), max_tokens=3)


def test_what_servers_list(vllm):
    async def main():
        provider = inference.VLLMProvider(vllm.url)
        await provider.load_adapter("a", PIRATE)
        listed = await provider.server_adapters()
        assert [(x["id"], x["tracked"], x["on_server"]) for x in listed] == [("a", True, True)]
        assert provider.sync.server_adapters() == listed
        await provider.unload_adapter("a")

    run(main())


def test_paths_may_be_path_objects(model_path):
    import pathlib

    provider = inference.LlamaCppProvider(pathlib.Path(model_path), n_ctx=256)
    provider.sync.load_adapter("a", pathlib.Path(PIRATE))
    assert provider.sync.list_adapters() == ["a"]
    relative = inference.LlamaCppProvider(os.path.relpath(model_path), n_ctx=256)
    assert relative.sync.tokenize("x")
