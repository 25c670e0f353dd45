"""A program for test_multiprocessing: children by spawn or forkserver get the provider pickled."""

import asyncio
import multiprocessing
import sys

import inference


def child(provider, queue):
    queue.put((asyncio.run(provider.generate("x", "smol", max_tokens=3, temperature=0)).text, provider._base_url))


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    made = inference.VLLMProvider(sys.argv[1])
    mine = asyncio.run(made.generate("x", "smol", max_tokens=3, temperature=0))
    results = context.Queue()
    children = [context.Process(target=child, args=(made, results)) for _ in range(2)]
    for c in children:
        c.start()
    for c in children:
        assert results.get(timeout=40) == (mine.text, sys.argv[1])
    for c in children:
        c.join(30)
        assert c.exitcode == 0
    print("fine")
