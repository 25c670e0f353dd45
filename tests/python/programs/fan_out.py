"""A program against the reference: two hundred at once, with a bound, with errors among them, cancelled, timed."""

import asyncio
import time

from inference import GenerationResult, get_provider

N = 200


async def bounded(gate: asyncio.Semaphore, number: int) -> GenerationResult:
    async with gate:
        return await get_provider("vllm").generate("prompt %d" % number, model="smol", max_tokens=4, temperature=0.0)


async def main() -> None:
    provider = get_provider("vllm")
    results = await asyncio.gather(
        *[provider.generate("prompt %d" % i, model="smol", max_tokens=4, temperature=0.0) for i in range(N)])
    assert len(results) == N and all(isinstance(r, GenerationResult) and r.text for r in results)
    gate = asyncio.Semaphore(10)
    assert await asyncio.gather(*[bounded(gate, i) for i in range(N)]) == results

    mixed = await asyncio.gather(
        *[provider.generate("x", model="smol" if i % 3 else "unknown", max_tokens=2) for i in range(30)],
        return_exceptions=True)
    assert [isinstance(r, Exception) for r in mixed] == [i % 3 == 0 for i in range(30)]

    finished = []
    for ended in asyncio.as_completed([provider.generate("x", model="smol", max_tokens=n) for n in (2, 4, 8)]):
        finished.append((await ended).token_count)
    assert len(finished) == 3

    task = asyncio.create_task(provider.generate("x", model="smol", max_tokens=2000))
    await asyncio.sleep(0.05)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    else:
        raise AssertionError("it was not cancelled")
    begin = time.monotonic()
    try:
        await asyncio.wait_for(provider.generate("x", model="smol", max_tokens=2000), timeout=0.1)
    except asyncio.TimeoutError:
        assert time.monotonic() - begin < 2
    else:
        raise AssertionError("it was not timed")
    guarded = asyncio.shield(asyncio.ensure_future(provider.generate("x", model="smol", max_tokens=3)))
    assert (await guarded).text
    assert (await provider.generate("still there", model="smol", max_tokens=2)).text


if __name__ == "__main__":
    asyncio.run(main())
    asyncio.run(main())  # another loop, the same cached provider
    print("fine")
