"""One measurement of the Python package, as JSON: python_client.py URL REQUESTS IN_FLIGHT KIND

The same requests as bench/chat_client.c and bench/openai_client.py, to the same server. KIND: whole (generate),
stream (a piece at a time), pieces (the same; also says how often the loop woke and how many pieces came).
"""
import asyncio
import json
import sys
import time

import inference

PROMPT = ("What is gravity? Explain it as you would to a child of ten years, in a few short "
          "sentences.")
url, requests, in_flight, kind = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
provider = inference.VLLMProvider(url, max_connections=65536)
wakes = pieces = 0


async def whole():
    return (await provider.generate(PROMPT, "base", max_tokens=64)).text


async def streamed():
    global pieces
    text = []
    async for chunk in provider.stream(PROMPT, "base", max_tokens=64):
        text.append(chunk.text)
    pieces += len(text)
    return "".join(text)


async def worker(left):
    while left:
        left.pop()
        if await (whole() if kind == "whole" else streamed()) != " word" * 64:
            sys.exit("another text came")


def count_wakes():
    from inference import _operations

    plain = _operations.Queue.readable

    def readable(self):
        global wakes
        wakes += 1
        plain(self)

    _operations.Queue.readable = readable


async def main():
    global pieces, wakes
    if kind == "pieces":
        count_wakes()
    await worker([0])
    pieces = wakes = 0
    left = [0] * requests
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*[worker(left) for _ in range(in_flight)])
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps({"cpu_us": cpu * 1e6 / requests, "wall_s": wall, "pieces": pieces / requests,
                      "wakes": wakes / requests}))


asyncio.run(main())
