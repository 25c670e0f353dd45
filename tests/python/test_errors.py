"""Each error of the C library: its class, what it is an instance of, what it carries."""

import asyncio
import builtins
import ctypes
import pickle
import socket

import pytest

import inference
from conftest import PIRATE, python, run
from inference import _library, exceptions

BUILTINS = {
    1: ValueError, 2: LookupError, 3: Exception, 4: RuntimeError, 5: MemoryError, 6: OSError, 7: ValueError,
    8: ValueError, 9: ArithmeticError, 10: RuntimeError, 11: ValueError, 12: ValueError, 14: TimeoutError,
    15: ConnectionError, 16: Exception, 17: RuntimeError, 18: RuntimeError,
}


def test_every_code_has_the_class_that_the_header_names():
    functions = ctypes.CDLL(_library._path())
    functions.inf_error_python.restype = ctypes.c_char_p
    functions.inf_error_name.restype = ctypes.c_char_p
    for code, builtin in BUILTINS.items():
        error = exceptions.make(code, "what is wrong", detail=7)
        assert isinstance(error, inference.InferenceError)
        assert isinstance(error, builtin)
        assert str(error) == "what is wrong" and error.detail == 7
        assert error.code == functions.inf_error_name(code).decode()
        named = functions.inf_error_python(code).decode()
        if not hasattr(builtins, named):
            assert type(error).__name__ == named
    assert isinstance(exceptions.make(13, "x"), asyncio.CancelledError)
    assert isinstance(exceptions.make(14, "x"), asyncio.TimeoutError)
    assert isinstance(exceptions.make(99, "x"), inference.InferenceError)
    assert not hasattr(exceptions, "named")


def test_errors_pickle():
    for error in (exceptions.make(16, "m", 404, 0, b"body"), exceptions.make(6, "gone", 0, 2),
                  exceptions.make(2, "nothing")):
        again = pickle.loads(pickle.dumps(error))
        assert str(again) == str(error) and again.code == error.code
        assert isinstance(again, type(error).__mro__[1]) or type(again) is type(error)


class Own(inference.UnsupportedOperationError):
    """A program's."""


def test_what_is_pickled_is_the_same_kind():
    again = pickle.loads(pickle.dumps(exceptions.make(6, "gone", 0, 2)))
    assert isinstance(again, FileNotFoundError) and again.errno == again.detail == 2
    again = pickle.loads(pickle.dumps(exceptions.make(2, "no such name", 404, 0, b'{"a": 1}')))
    assert isinstance(again, inference.NotFoundError) and isinstance(again, inference.HTTPStatusError)
    assert again.status_code == again.response.status_code == 404 and again.response.json() == {"a": 1}
    error = exceptions.make(14, "late")
    error.partial = inference.GenerationResult("so far", "m", None, 1, "")
    assert pickle.loads(pickle.dumps(error)).partial == error.partial
    own = Own("mine")
    own.more = 5
    again = pickle.loads(pickle.dumps(own))
    assert type(again) is Own and str(again) == "mine" and again.more == 5
    assert pickle.loads(pickle.dumps(inference.StateError("a", "b"))).args == ("a", "b")


def test_os_errors():
    error = exceptions.make(6, "cannot open it", 0, 2)
    assert isinstance(error, FileNotFoundError) and error.errno == 2 and str(error) == "cannot open it"
    assert not isinstance(exceptions.make(6, "x", 0, 5), FileNotFoundError)
    assert isinstance(exceptions.make(15, "x", 0, 111), ConnectionRefusedError)


def test_nobody_listens():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        url = "http://127.0.0.1:%d/v1" % s.getsockname()[1]
    for make in (inference.VLLMProvider, inference.OllamaProvider):
        with pytest.raises(ConnectionError) as error:
            run(make(url, max_retries=0).generate("x", "m"))
        assert error.value.code == "connection" and "127.0.0.1" in str(error.value)


def test_http_status(vllm):
    with pytest.raises(inference.HTTPStatusError) as error:
        run(inference.VLLMProvider(vllm.url).generate("x", "unknown"))
    e = error.value
    assert e.status_code == 404 and "does not exist" in e.body
    assert e.response.json()["error"]["message"] in e.body
    assert "unknown" in str(e)


def test_timeouts(vllm):
    provider = inference.VLLMProvider(vllm.url)
    vllm.set(hung=True)
    with pytest.raises(TimeoutError) as error:
        run(provider.generate("x", "smol", timeout=0.2))
    assert error.value.code == "timeout"
    with pytest.raises(ValueError):
        run(provider.generate("x", "smol", timeout=0))


def test_partial_text_stays(local):
    with pytest.raises(TimeoutError) as error:
        run(local.generate("Count", "m", max_tokens=900, ignore_eos=True, timeout=0.5))
    assert error.value.partial is not None and len(error.value.partial.token_ids) > 0
    assert error.value.partial.text


def test_invalid_arguments(local):
    for wrong in ({"max_tokens": 0}, {"max_tokens": -1}, {"temperature": -1.0}, {"top_p": 2.0}, {"top_p": 0.0},
                  {"repetition_penalty": 0.0}, {"seed": -1}, {"stop": [""]}, {"logprobs": 99}, {"adapter_id": "no"},
                  {"adapters": {"no": 1.0}}, {"grammar": "root ::= ("}, {"json_schema": {"type": 5}},
                  {"json_schema": {}, "grammar": 'root ::= "a"'}, {"timeout": -1}, {"max_tokens": 2**40},
                  {"json_schema": {"x": float("nan")}}, {"messages": [{"role": "user", "content": "x"}]}):
        with pytest.raises(ValueError):
            run(local.generate("x", "m", **wrong))
        with pytest.raises(ValueError):
            local.sync.generate("x", "m", **wrong)
    for wrong in ({"max_tokens": "5"}, {"temperature": "0"}, {"stop": 5}, {"seed": 1.5}, {"adapters": "a"},
                  {"ignore_eos": 1}, {"system_prompt": 5}, {"max_tokens": True}, {"max_tokens": 4096.0},
                  {"add_special": "no"}):
        with pytest.raises(TypeError):
            run(local.generate("x", "m", **wrong))
    with pytest.raises(TypeError):
        run(local.generate(5, "m"))
    for wrong in (lambda: local.sync.tokenize("x", add_special="no"), lambda: local.sync.detokenize([1], skip_special=0),
                  lambda: local.sync.render([{"role": "user", "content": "x"}], add_generation_prompt="no")):
        with pytest.raises(TypeError, match="must be bool"):
            wrong()
    with pytest.raises(TypeError):
        local.stream("x", "m", nonsense=1)._prepare()
    with pytest.raises(ValueError):
        run(local.generate("\ud800", "m"))
    assert run(local.generate("still here", "m", max_tokens=1)).text is not None


def test_options_that_a_backend_would_ignore(vllm, ollama, local):
    async def main():
        with pytest.raises(inference.UnsupportedOperationError, match="adapter_scale"):
            await inference.VLLMProvider(vllm.url).generate("x", "smol", adapter_id="a", adapter_scale=0.5)
        with pytest.raises(inference.UnsupportedOperationError, match="grammar"):
            await inference.OllamaProvider(ollama.url).generate("x", "smol", grammar='root ::= "a"')
        with pytest.raises(inference.UnsupportedOperationError):
            await local.generate("x", "m", extra_body={"a": 1})
        with pytest.raises(inference.UnsupportedOperationError):
            await inference.VLLMProvider(vllm.url).tokenize("x")
        with pytest.raises(inference.UnsupportedOperationError):
            await inference.VLLMProvider(vllm.url).load_adapter("a", b"GGUF....")

    run(main())


def test_adapters_that_do_not_fit(local, tmp_path):
    import json
    import shutil

    folder = tmp_path / "other"
    shutil.copytree(PIRATE, folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["r"] = 4
    (folder / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(inference.InferenceError) as error:
        run(local.load_adapter("a", folder))
    assert isinstance(error.value, ValueError) and "lora" in str(error.value).lower()


FOREIGN = """
import asyncio, sys
if "before" in sys.argv:
    import httpx, openai
import inference
if "before" not in sys.argv:
    import httpx, openai
url, dead = sys.argv[1], sys.argv[2]

async def main():
    provider = inference.VLLMProvider(url)
    for kind in (httpx.HTTPStatusError, openai.APIStatusError, openai.NotFoundError, inference.HTTPStatusError):
        try:
            await provider.generate("x", "unknown")
        except kind as e:
            assert e.response.status_code == e.status_code == 404, e
            assert isinstance(e.response, httpx.Response) and "does not exist" in e.response.text
            assert isinstance(e.request, httpx.Request) and "does not exist" in e.message
            assert not isinstance(e, openai.RateLimitError)
        else:
            raise SystemExit("no error")
    gone = inference.VLLMProvider(dead, max_retries=0)
    for kind in (openai.APIConnectionError, httpx.ConnectError, ConnectionError, openai.APIError):
        try:
            await gone.generate("x", "m")
        except kind as e:
            assert not isinstance(e, openai.APITimeoutError)
        else:
            raise SystemExit("no error")
    for kind in (openai.APITimeoutError, httpx.TimeoutException, TimeoutError, openai.APIConnectionError):
        try:
            await provider.generate("x", "smol", max_tokens=50, timeout=0.02)
        except kind:
            pass
        else:
            raise SystemExit("no error")
    import pickle
    try:
        await provider.generate("x", "unknown")
    except inference.HTTPStatusError as e:
        again = pickle.loads(pickle.dumps(e))
        assert again.status_code == 404 and "does not exist" in again.body

asyncio.run(main())
print("fine")
"""


@pytest.mark.parametrize("order", ["before", "after"])
def test_where_the_program_has_httpx_and_openai(vllm, order):
    pytest.importorskip("openai")
    vllm.set(delay=0.05)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        dead = "http://127.0.0.1:%d/v1" % s.getsockname()[1]
    code, out, err = python(FOREIGN, vllm.url, dead, order)
    assert (code, out) == (0, "fine\n"), err


def test_neither_is_imported_by_us():
    code, out, err = python("import inference, sys; inference.exceptions.make(16, 'x', 404);"
                            "print(sorted(set(sys.modules) & {'httpx', 'openai', 'numpy', 'torch', 'pydantic'}))")
    assert (code, out) == (0, "[]\n"), err
