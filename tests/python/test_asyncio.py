"""Operations and event loops: delivery, cancelling, many at once, several loops, streams."""

import asyncio
import gc
import json
import sys
import threading
import time

import pytest

import inference
from conftest import pending, python, run
from inference import _library


def settle(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come to rest"
        time.sleep(0.01)


async def come_to_rest(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come to rest"
        await asyncio.sleep(0.01)


# ---- streams


def test_stream(local):
    async def main():
        whole = await local.generate("Once upon a time", "m", max_tokens=10, temperature=0)
        stream = local.stream("Once upon a time", "m", max_tokens=10, temperature=0)
        assert stream.result is None and repr(stream) == "<Stream, not started>"
        first = await stream.__anext__()
        assert "running" in repr(stream)
        chunks = [first] + [chunk async for chunk in stream]
        assert repr(stream) == "<Stream, ended: 'length', 10 tokens>"
        assert len(chunks) > 3
        assert "".join(chunk.text for chunk in chunks) == whole.text
        assert [c.tokens for c in chunks] == sorted(c.tokens for c in chunks) and chunks[-1].tokens == 10
        assert stream.result == whole and stream.result.token_ids == whole.token_ids
        with pytest.raises(StopAsyncIteration):
            await stream.__anext__()
        assert await local.stream("Once upon a time", "m", max_tokens=10, temperature=0).text() == whole.text

    run(main())
    assert pending() == 0


def test_streams_of_servers(vllm, ollama):
    async def main():
        for provider in (inference.VLLMProvider(vllm.url), inference.OllamaProvider(ollama.url)):
            whole = await provider.generate("x", "smol", max_tokens=30, temperature=0)
            stream = provider.stream("x", "smol", max_tokens=30, temperature=0)
            assert "".join([chunk.text async for chunk in stream]) == whole.text
            assert stream.result == whole

    run(main())


def said(deltas, finish=None):
    choice = {"index": 0, "delta": {"tool_calls": deltas} if deltas else {}, "finish_reason": finish}
    return "data: " + json.dumps({"choices": [choice]}) + "\n\n"


def test_tool_calls_come_in_pieces_that_are_the_result_s(vllm):
    """Put together by their index, each text by itself."""
    vllm.order("next", path="/v1/chat/completions", act="raw", text=(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        + said([{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}])
        + said([{"index": 0, "function": {"arguments": '{"city": '}}])
        + said([{"index": 0, "function": {"arguments": '"Bonn"}'}}])
        + said([{"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}])
        + said([], "tool_calls") + "data: [DONE]\n\n"))

    async def main():
        calls = {}
        stream = inference.VLLMProvider(vllm.url).stream("x", "smol")
        async for chunk in stream:
            for piece in chunk.tool_calls:
                call = calls.setdefault(piece["index"], {"id": "", "type": "", "name": "", "arguments": ""})
                call["id"] += piece["id"]
                call["type"] = piece["type"]
                call["name"] += piece["function"]["name"]
                call["arguments"] += piece["function"]["arguments"]
        return [
            {"id": c["id"], "type": c["type"], "function": {"name": c["name"], "arguments": c["arguments"]}}
            for _, c in sorted(calls.items())
        ], stream.result

    together, result = run(main())
    assert together == result.tool_calls and result.finish_reason == "tool_calls"
    assert [c["function"]["arguments"] for c in together] == ['{"city": "Bonn"}', "{}"]


def test_a_stream_s_error_comes_from_the_loop(local, vllm):
    async def main():
        with pytest.raises(ValueError):
            async for _ in local.stream("x", "m", adapter_id="no"):
                pass
        seen = []
        with pytest.raises(inference.HTTPStatusError):
            async for chunk in inference.VLLMProvider(vllm.url).stream("x", "unknown"):
                seen.append(chunk)
        assert seen == []
        with pytest.raises(TimeoutError) as error:
            async for chunk in local.stream("x", "m", max_tokens=900, ignore_eos=True, timeout=0.4):
                seen.append(chunk)
        assert error.value.partial.text == "".join(c.text for c in seen) != ""

    run(main())


def test_leaving_a_stream_cancels(local):
    def idle():
        return local.stats().active == 0

    async def main():
        async for _ in local.stream("Count", "m", max_tokens=900, ignore_eos=True):
            break
        await come_to_rest(idle)
        async with local.stream("Count", "m", max_tokens=900, ignore_eos=True) as stream:
            async for _ in stream:
                break
            assert not idle()
        await come_to_rest(idle)
        with pytest.raises(StopAsyncIteration):
            await stream.__anext__()
        stream = local.stream("Count", "m", max_tokens=900, ignore_eos=True)
        await stream.__anext__()
        await stream.aclose()
        await come_to_rest(idle)
        await local.stream("never begun", "m").aclose()

        async def consume():
            async for _ in local.stream("Count", "m", max_tokens=900, ignore_eos=True):
                pass

        task = asyncio.create_task(consume())
        await asyncio.sleep(0.2)
        assert not idle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await come_to_rest(idle)

    run(main())
    assert pending() == 0


def test_closing_a_stream_that_somebody_waits_on(vllm):
    vllm.set(hung=True)

    async def main():
        stream = inference.VLLMProvider(vllm.url).stream("x", "smol")

        async def consume():
            return [chunk async for chunk in stream]

        task = asyncio.create_task(consume())
        await asyncio.sleep(0.1)
        await stream.aclose()
        assert await asyncio.wait_for(task, 5) == []

    run(main())


def test_a_stream_has_one_consumer_at_a_time(vllm):
    vllm.set(delay=0.02)

    async def main():
        stream = inference.VLLMProvider(vllm.url).stream("x", "smol", max_tokens=10)

        async def consume():
            return "".join([chunk.text async for chunk in stream])

        first, second = asyncio.create_task(consume()), asyncio.create_task(consume())
        await asyncio.wait([first, second], timeout=10)
        with pytest.raises(inference.StateError, match="one consumer"):
            await second
        assert await first == stream.result.text

    run(main())


def test_a_stream_belongs_to_one_loop(vllm):
    vllm.set(delay=0.2)
    stream = inference.VLLMProvider(vllm.url).stream("x", "smol", max_tokens=30)

    async def chunk():
        return await stream.__anext__()

    assert run(chunk()).text
    for _ in range(2):  # each time, and never as if it had ended
        with pytest.raises(inference.StateError, match="event loop"):
            run(chunk())
    run(stream.aclose())


def test_a_stream_s_task_keeps_its_context(vllm):
    import contextvars

    name = contextvars.ContextVar("name")

    async def consume(provider, mine):
        name.set(mine)
        async for _ in provider.stream("x", "smol", max_tokens=8):
            assert name.get() == mine
            assert asyncio.current_task().get_name() == mine
        return name.get()

    async def main():
        provider = inference.VLLMProvider(vllm.url)
        names = ["task %d" % i for i in range(20)]
        assert await asyncio.gather(*[asyncio.create_task(consume(provider, n), name=n) for n in names]) == names
        stream = provider.stream("x", "smol", max_tokens=8)
        pieces = []
        with pytest.raises(StopAsyncIteration):
            while True:
                pieces.append(await asyncio.wait_for(stream.__anext__(), 5))
        assert "".join(p.text for p in pieces) == stream.result.text

    run(main())


def test_what_a_consumer_sets_in_its_context_stays(vllm):
    """In one that was empty before, too."""
    import contextvars

    count = contextvars.ContextVar("count", default=0)

    async def main():
        n = 0
        async for _ in inference.VLLMProvider(vllm.url).stream("x", "smol", max_tokens=8):
            n += 1
            count.set(count.get() + 1)
            await asyncio.sleep(0)
        return n, count.get()

    vllm.set(delay=0.01)
    n, counted = contextvars.Context().run(run, main())
    assert n == counted > 1


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_a_consumer_that_ends_the_loop_takes_nothing_from_the_others(vllm, kind):
    provider = inference.VLLMProvider(vllm.url)

    async def consume(leave):
        text = []
        async for chunk in provider.stream("x", "smol", max_tokens=20, temperature=0):
            text.append(chunk.text)
            if leave and len(text) == 2:
                raise kind
        return "".join(text)

    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(consume(i == 3)) for i in range(10)]
    with pytest.raises(kind):
        loop.run_until_complete(asyncio.wait(tasks))
    others = asyncio.gather(*[task for i, task in enumerate(tasks) if i != 3])
    assert len(set(loop.run_until_complete(others))) == 1
    assert type(tasks[3].exception()) is kind
    loop.close()
    assert pending() == 0


@pytest.mark.parametrize("nested", [False, True])
def test_a_consumer_that_may_run_the_loop_is_not_resumed_inside_the_reader(vllm, monkeypatch, nested):
    """As nest_asyncio lets it, in notebooks: the loop could not run that reader again meanwhile."""
    monkeypatch.setattr(asyncio, "_nest_patched", nested, raising=False)

    async def main():
        inside = set()
        async for _ in inference.VLLMProvider(vllm.url).stream("x", "smol", max_tokens=5):
            frame, names = sys._getframe(), []
            while frame is not None:
                names.append(frame.f_code.co_name)
                frame = frame.f_back
            inside.add("readable" in names)
        return inside

    assert run(main()) == {not nested}


def test_a_waiter_is_a_future():
    from inference._operations import Waiter

    async def main():
        called = []
        waiter = Waiter(loop=asyncio.get_running_loop())
        waiter.add_done_callback(called.append)
        waiter.add_done_callback(called.append)
        assert waiter.remove_done_callback(print) == 0
        waiter.set_result(None)
        waiter.resume()
        assert called == [waiter]  # at once; the second as futures do
        await asyncio.sleep(0)
        assert called == [waiter, waiter]
        waiter.add_done_callback(called.append)
        await asyncio.sleep(0)
        assert len(called) == 3
        assert await waiter is None and not waiter.cancel()
        waiter = Waiter(loop=asyncio.get_running_loop())
        waiter.add_done_callback(called.append)
        assert waiter.remove_done_callback(called.append) == 1
        task = asyncio.ensure_future(asyncio.wait_for(waiter, 5))
        await asyncio.sleep(0)
        assert waiter.cancel() and not waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(called) == 3

    run(main())


# ---- cancelling


def test_cancelling_a_task_cancels_the_operation_at_once(local):
    async def main():
        task = asyncio.create_task(local.generate("Count", "m", max_tokens=900, ignore_eos=True))
        await asyncio.sleep(0.2)
        begin = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - begin < 0.1
        await come_to_rest(lambda: local.stats().active == 0, 2)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(local.generate("Count", "m", max_tokens=900, ignore_eos=True), 0.2)
        await come_to_rest(lambda: local.stats().active == 0, 2)
        done, waiting = await asyncio.wait(
            [asyncio.create_task(local.generate("Count", "m", max_tokens=n, ignore_eos=True)) for n in (2, 900)],
            return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == len(waiting) == 1
        waiting.pop().cancel()

    run(main())
    settle(lambda: local.stats().active == 0)
    assert pending() == 0


def test_a_server_sees_the_cancel(vllm):
    vllm.set(delay=0.05)

    async def main():
        task = asyncio.create_task(inference.VLLMProvider(vllm.url).generate("x", "smol", max_tokens=1000))
        await asyncio.sleep(0.3)
        assert vllm.order("look")["running"] == 1
        task.cancel()
        await come_to_rest(lambda: vllm.order("look")["running"] == 0)

    run(main())


# ---- many, and many loops


def test_a_thousand_at_once(vllm):
    vllm.set(delay=0)

    async def main():
        provider = inference.VLLMProvider(vllm.url)
        results = await asyncio.gather(
            *[provider.generate("prompt %d" % i, "smol", max_tokens=3, temperature=0) for i in range(1000)])
        for i in (0, 500, 999):
            again = await provider.generate("prompt %d" % i, "smol", max_tokens=3, temperature=0)
            assert again == results[i]

    run(main())
    assert pending() == 0


def test_asyncio_run_twice_with_the_same_cached_provider(vllm):
    for _ in range(2):
        async def main():
            return await inference.get_provider("vllm", vllm.url).generate("x", "smol", max_tokens=2)

        assert run(main()).text
    assert inference.get_provider("vllm", vllm.url) is inference.get_provider("vllm", vllm.url)


def test_loops_in_threads(vllm, local):
    provider = inference.VLLMProvider(vllm.url)
    errors = []

    def work(number):
        async def main():
            for i in range(5):
                prompt = "thread %d %d" % (number, i)
                a, b = await asyncio.gather(provider.generate(prompt, "smol", max_tokens=4, temperature=0),
                                            provider.generate(prompt, "smol", max_tokens=4, temperature=0))
                assert a == b
                text = await provider.stream(prompt, "smol", max_tokens=4, temperature=0).text()
                assert text == a.text
            await local.generate("x", "m", max_tokens=2)

        try:
            asyncio.run(main())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert errors == []
    assert pending() == 0


def test_a_loop_wakes_for_its_own_operations_alone(vllm):
    """Two loops: while one works, the other's queue is never read."""
    from inference import _operations

    pulls = {}
    plain = _operations.Queue.readable

    def counted(self):
        pulls[id(self)] = pulls.get(id(self), 0) + 1
        plain(self)

    _operations.Queue.readable = counted
    try:
        provider = inference.VLLMProvider(vllm.url)
        other = asyncio.new_event_loop()
        thread = threading.Thread(target=other.run_forever)
        thread.start()
        asyncio.run_coroutine_threadsafe(provider.generate("x", "smol", max_tokens=2), other).result(10)
        before = dict(pulls)

        async def main():
            await asyncio.gather(*[provider.generate("x", "smol", max_tokens=9) for _ in range(20)])

        run(main())
        other_pulls = [pulls[key] - n for key, n in before.items()]
        assert other_pulls == [0]
        assert sum(pulls.values()) > sum(before.values())
        other.call_soon_threadsafe(other.stop)
        thread.join(10)
        other.close()
    finally:
        _operations.Queue.readable = plain


def test_loops_closed_with_operations_in_flight(vllm):
    vllm.set(hung=True)
    provider = inference.VLLMProvider(vllm.url)
    lib = _library.library()
    for _ in range(20):
        loop = asyncio.new_event_loop()
        tasks = [loop.create_task(provider.generate("x", "smol")) for _ in range(3)]
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
        del loop, tasks
    gc.collect()
    vllm.set(hung=False)
    assert run(provider.generate("x", "smol", max_tokens=2)).text
    gc.collect()
    assert len([loop for loop in lib.queues if not loop.is_closed()]) <= 1
    assert pending() == 0


def test_nothing_leaks(vllm):
    import os

    vllm.set(delay=0)
    provider = inference.VLLMProvider(vllm.url)

    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    def resident():
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * 4096

    async def main():
        for _ in range(10):
            await asyncio.gather(*[provider.generate("x" * 2000, "smol", max_tokens=2) for _ in range(20)])

    for _ in range(3):
        run(main())
    before, memory = descriptors(), resident()
    for _ in range(10):
        run(main())
    gc.collect()
    assert descriptors() <= before + 2
    assert resident() < memory + 12 * 2**20
    assert pending() == 0


# ---- the synchronous face


def test_sync(local, vllm):
    a = local.sync.generate("Once upon a time", "m", max_tokens=4, temperature=0)
    b = run(local.generate("Once upon a time", "m", max_tokens=4, temperature=0))
    assert a == b and a.token_ids == b.token_ids
    with local.sync.stream("Once upon a time", "m", max_tokens=4, temperature=0) as stream:
        assert "".join(chunk.text for chunk in stream) == a.text
    assert stream.result == a
    assert local.sync.stream("Once upon a time", "m", max_tokens=4, temperature=0).text() == a.text
    assert local.sync.list_adapters() == []
    local.sync.unload_adapter("nothing")
    with pytest.raises(inference.HTTPStatusError):
        inference.VLLMProvider(vllm.url).sync.generate("x", "unknown")


def test_sync_inside_a_running_loop(local):
    async def main():
        return local.sync.generate("Once upon a time", "m", max_tokens=3, temperature=0)

    assert run(main()).text


def test_sync_in_many_threads(vllm):
    provider = inference.VLLMProvider(vllm.url)
    texts = []
    threads = [threading.Thread(target=lambda: texts.append(provider.sync.generate("x", "smol", max_tokens=3).text))
               for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(texts) == 40 and all(texts)


def test_a_blocking_stream(local):
    stream = local.sync.stream("Once upon a time", "m", max_tokens=10, temperature=0)
    assert stream.result is None and repr(stream) == "<SyncStream of <Stream, not started>>"
    chunks = [next(stream)]
    assert "running" in repr(stream)
    chunks += stream
    assert repr(stream) == "<SyncStream of <Stream, ended: 'length', 10 tokens>>"
    assert "".join(chunk.text for chunk in chunks) == stream.result.text and len(chunks) > 3
    assert chunks[-1].tokens == 10 and list(stream) == [] and stream.text() == ""
    whole = local.sync.generate("Once upon a time", "m", max_tokens=10, temperature=0)
    assert stream.result == whole and stream.result.token_ids == whole.token_ids

    async def inside():
        return local.sync.stream("Once upon a time", "m", max_tokens=10, temperature=0).text()

    assert run(inside()) == whole.text


def test_a_blocking_stream_s_errors(local, vllm):
    with pytest.raises(ValueError):
        next(local.sync.stream("x", "m", adapter_id="no"))
    stream = inference.VLLMProvider(vllm.url).sync.stream("x", "unknown")
    with pytest.raises(inference.HTTPStatusError):
        next(stream)
    assert list(stream) == []
    seen = []
    with pytest.raises(TimeoutError) as error:
        for chunk in local.sync.stream("x", "m", max_tokens=900, ignore_eos=True, timeout=0.4):
            seen.append(chunk.text)
    assert error.value.partial.text == "".join(seen) != ""


def test_leaving_a_blocking_stream_cancels(local):
    def begun():
        stream = local.sync.stream("Count", "m", max_tokens=900, ignore_eos=True)
        next(stream)
        assert local.stats().active == 1
        return stream

    with begun() as stream:
        pass
    settle(lambda: local.stats().active == 0)
    assert list(stream) == []
    begun().close()
    settle(lambda: local.stats().active == 0)
    stream = begun()  # forgotten
    del stream
    settle(lambda: local.stats().active == 0)
    for _ in begun():
        break
    settle(lambda: local.stats().active == 0)
    local.sync.stream("never begun", "m").close()


def test_blocking_streams_leak_nothing(vllm):
    import os

    vllm.set(delay=0)
    provider = inference.VLLMProvider(vllm.url)
    provider.sync.stream("x", "smol", max_tokens=2).text()
    before = len(os.listdir("/proc/self/fd"))
    for i in range(100):
        stream = provider.sync.stream("x", "smol", max_tokens=2)
        assert stream.text() if i % 2 else next(stream)
    del stream
    settle(lambda: len(os.listdir("/proc/self/fd")) <= before + 2)


def test_blocking_streams_in_many_threads(vllm):
    provider = inference.VLLMProvider(vllm.url)
    texts = []
    one = provider.sync.generate("x", "smol", max_tokens=9, temperature=0).text
    threads = [threading.Thread(target=lambda: texts.append(
        provider.sync.stream("x", "smol", max_tokens=9, temperature=0).text())) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert texts == [one] * 40


def test_a_blocking_stream_that_another_thread_closes(vllm):
    vllm.set(hung=True)
    stream = inference.VLLMProvider(vllm.url).sync.stream("x", "smol")
    chunks = []
    thread = threading.Thread(target=lambda: chunks.append(list(stream)))
    thread.start()
    settle(lambda: "running" in repr(stream))
    time.sleep(0.05)
    with pytest.raises(inference.StateError, match="one consumer"):
        next(stream)
    stream.close()
    thread.join(5)
    assert chunks == [[]] and "closed" in repr(stream)


def test_ctrl_c_ends_a_blocking_stream(model_path):
    code, out, err = python("""
import inference, os, signal, sys, threading, time
provider = inference.LlamaCppProvider(sys.argv[1], n_ctx=1024)
provider.sync.load()
threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
begin = time.monotonic()
stream = provider.sync.stream("Count", "m", max_tokens=900, ignore_eos=True)
try:
    for chunk in stream: pass
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - begin < 2, list(stream), stream.result)
while provider.stats().active: time.sleep(0.01)
print("asyncio" in sys.modules)
""", model_path)
    assert (code, out) == (0, "interrupted True [] None\nFalse\n"), err


def test_ctrl_c_ends_a_wait_for_a_server(vllm):
    vllm.set(hung=True)
    code, out, err = python("""
import inference, os, signal, sys, threading, time
provider = inference.VLLMProvider(sys.argv[1])
threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
begin = time.monotonic()
try:
    next(provider.sync.stream("x", "smol"))
except KeyboardInterrupt:
    print(time.monotonic() - begin < 2)
""", vllm.url)
    assert (code, out) == (0, "True\n"), err


def test_a_blocking_stream_of_a_parent(vllm):
    vllm.set(delay=0.02)
    code, out, err = python("""
import inference, os, sys
stream = inference.VLLMProvider(sys.argv[1]).sync.stream("x", "smol", max_tokens=20, temperature=0)
text = next(stream).text
pid = os.fork()
if pid == 0:
    try:
        list(stream)
    except inference.StateError:
        os._exit(inference.VLLMProvider(sys.argv[1]).sync.stream("x", "smol", max_tokens=2).text() == "")
assert os.waitpid(pid, 0)[1] == 0
text += stream.text()
print(text == stream.result.text)
""", vllm.url)
    assert (code, out, err) == (0, "True\n", "")


def test_sync_calls_a_subclass_s_own_method(vllm):
    class Shouting(inference.VLLMProvider):
        async def generate(self, *args, **kwargs):
            result = await super().generate(*args, **kwargs)
            result.text = result.text.upper() + "!"
            return result

        def stream(self, *args, **kwargs):
            return inference.InferenceProvider.stream(self, *args, **kwargs)

        async def list_adapters(self):
            return ["mine"]

    shouting = Shouting(vllm.url)
    assert shouting.sync.generate("x", "smol", max_tokens=3).text.endswith("!")
    assert shouting.sync.list_adapters() == ["mine"]
    stream = shouting.sync.stream("x", "smol", max_tokens=3)
    assert stream.text().endswith("!") and stream.result.text.endswith("!")


def test_ctrl_c_ends_a_blocking_call(model_path):
    code, out, err = python("""
import inference, os, signal, sys, threading, time
provider = inference.LlamaCppProvider(sys.argv[1], n_ctx=1024)
provider.sync.load()
threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
begin = time.monotonic()
try:
    provider.sync.generate("Count", "m", max_tokens=900, ignore_eos=True)
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - begin < 2)
""", model_path)
    assert (code, out) == (0, "interrupted True\n"), err


def test_sync_calls_what_a_test_has_put_there(vllm):
    import functools
    from unittest import mock

    made = inference.GenerationResult("patched", "m", None, 1, "stop")
    provider = inference.VLLMProvider(vllm.url)
    own = inference.VLLMProvider.generate

    @functools.wraps(own)
    async def wrapped(*args, **kwargs):
        return made

    kinds = (mock.patch.object(provider, "generate", mock.AsyncMock(return_value=made)),
             mock.patch.object(inference.VLLMProvider, "generate", mock.AsyncMock(return_value=made)),
             mock.patch.object(inference.VLLMProvider, "generate", autospec=True, return_value=made),
             mock.patch.object(inference.VLLMProvider, "generate", wrapped))
    for patch in kinds:
        with patch:
            assert provider.sync.generate("x", "smol") is made
    for method, arguments in (("tokenize", ["x"]), ("detokenize", [[1]]), ("render", [[]]), ("inspect", []),
                              ("logits", [[1]]), ("load", []), ("unload", [])):
        with mock.patch.object(provider, method, mock.AsyncMock(return_value=7)) as patched:
            assert getattr(provider.sync, method)(*arguments) in (7, None)
            patched.assert_awaited_once()
    assert provider.sync.generate("x", "smol", max_tokens=2).text


def test_a_blocking_call_inside_another(vllm):
    """A provider in Python, called blocking, that calls others blocking: streams too, and to any depth."""
    provider = inference.VLLMProvider(vllm.url)

    class Over(inference.InferenceProvider):
        def __init__(self, inner):
            self.inner = inner

        async def generate(self, prompt, model, *args, **kwargs):
            text = self.inner.sync.stream(prompt, model, max_tokens=3, temperature=0).text()
            return inference.GenerationResult(text, model, None, 0, "stop")

        async def load_adapter(self, adapter_id, adapter_path):
            raise NotImplementedError

        unload_adapter = list_adapters = load_adapter

    texts = []
    over = Over(Over(Over(provider)))
    thread = threading.Thread(target=lambda: texts.append(over.sync.generate("x", "smol").text), daemon=True)
    thread.start()
    thread.join(20)
    assert texts == [provider.sync.generate("x", "smol", max_tokens=3, temperature=0).text]


# ---- other loops


def test_a_loop_without_add_reader_says_so_each_time(vllm):
    class Plain(asyncio.SelectorEventLoop):
        def add_reader(self, *_):
            raise NotImplementedError

    provider = inference.VLLMProvider(vllm.url)
    loop = Plain()
    for _ in range(2):
        with pytest.raises(inference.UnsupportedOperationError, match="add_reader"):
            loop.run_until_complete(asyncio.wait_for(provider.generate("x", "smol"), 5))
    loop.close()
    assert pending() == 0


def test_uvloop(vllm):
    uvloop = pytest.importorskip("uvloop")
    provider = inference.VLLMProvider(vllm.url)

    async def main():
        results = await asyncio.gather(*[provider.generate("x", "smol", max_tokens=3, temperature=0)
                                         for _ in range(50)])
        assert len({r.text for r in results}) == 1
        assert await provider.stream("x", "smol", max_tokens=3, temperature=0).text() == results[0].text
        task = asyncio.create_task(provider.generate("x", "smol", max_tokens=2000))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for _ in range(2):
        loop = uvloop.new_event_loop()
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()
    assert pending() == 0
    vllm.set(hung=True)
    for _ in range(5):  # closed with operations in flight
        loop = uvloop.new_event_loop()
        tasks = [loop.create_task(provider.generate("x", "smol")) for _ in range(3)]
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
        del loop, tasks
    vllm.set(hung=False)
    assert run(provider.generate("x", "smol", max_tokens=2)).text
    assert pending() == 0


def test_trio_as_a_guest(vllm):
    trio = pytest.importorskip("trio")
    provider = inference.VLLMProvider(vllm.url)

    async def main():
        loop = asyncio.get_running_loop()
        ended = loop.create_future()

        async def guest():
            await trio.sleep(0.05)
            return "trio"

        trio.lowlevel.start_guest_run(
            guest, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=ended.set_result)
        result = await provider.generate("x", "smol", max_tokens=3)
        assert result.text
        assert (await ended).unwrap() == "trio"

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks")
def test_eager_tasks(vllm):
    provider = inference.VLLMProvider(vllm.url)

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        tasks = [asyncio.create_task(provider.generate("x", "smol", max_tokens=3, temperature=0)) for _ in range(20)]
        assert len({r.text for r in await asyncio.gather(*tasks)}) == 1

    run(main())
    assert pending() == 0


def test_without_a_running_loop_it_says_so(vllm):
    work = inference.VLLMProvider(vllm.url).generate("x", "smol")
    with pytest.raises(RuntimeError):
        work.send(None)


def test_logging(vllm, local, caplog):
    """The library's lines come to logging.getLogger("inference"), from whichever thread."""
    with caplog.at_level("INFO", logger="inference"):
        with pytest.raises(inference.InferenceError):
            vllm.set(key="secret")
            vllm.order("next", path="/v1/chat/completions", act="reset")
            run(inference.VLLMProvider(vllm.url).generate("x", "smol", max_tokens=1))
    lines = [r for r in caplog.records if r.name == "inference"]
    assert any("trying again" in r.getMessage() and r.levelname == "INFO" for r in lines)


def test_nothing_is_given_back_inside_the_log_callback(vllm):
    """The collector may run there, and the library must not be called there."""
    import logging

    logger = logging.getLogger("inference")
    provider = inference.VLLMProvider(vllm.url)
    lib = _library.library()
    seen = []

    class Collects(logging.Handler):
        def emit(self, record):
            lib.give_back(lambda pointer: seen.append(("called", _library._here.logging)), 1)
            seen.append("logged")

    handler = Collects()
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel("INFO")
    try:
        vllm.order("next", path="/v1/chat/completions", act="reset")
        run(provider.generate("x", "smol", max_tokens=1))
        assert "logged" in seen
        run(provider.generate("x", "smol", max_tokens=1))
        assert ("called", False) in seen and ("called", True) not in seen
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
