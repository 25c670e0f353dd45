"""A program against the reference: a pipeline whose steps run on loops of their own, in threads and one by one."""

import asyncio
import concurrent.futures
import os
import queue
import threading

from inference import get_provider_for_step

STEPS = [{"provider": "vllm"}, {"provider": "ollama"}, {"provider": "vllm", "base_url": os.environ["VLLM_BASE_URL"]}]


async def step(config: "dict[str, str]", text: str) -> str:
    return (await get_provider_for_step(config).generate(text, model="smol", max_tokens=4, temperature=0.0)).text


def pipeline(text: str) -> str:
    for config in STEPS:
        text = asyncio.run(step(config, text or "x"))
    return text


def consumer(tasks: "queue.Queue[str | None]", done: "list[str]") -> None:
    loop = asyncio.new_event_loop()
    while True:
        task = tasks.get()
        if task is None:
            break
        done.append(loop.run_until_complete(step(STEPS[0], task)))
    loop.close()


def main() -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(pipeline, ["task"] * 16))
    assert len(set(texts)) == 1
    tasks: "queue.Queue[str | None]" = queue.Queue()
    done: "list[str]" = []
    threads = [threading.Thread(target=consumer, args=(tasks, done)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for item in ["a"] * 20 + [None] * 4:
        tasks.put(item)
    for thread in threads:
        thread.join()
    assert len(done) == 20 and len(set(done)) == 1
    assert get_provider_for_step(STEPS[0]) is get_provider_for_step(STEPS[2])


if __name__ == "__main__":
    main()
    print("fine")
