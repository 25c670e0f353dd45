"""CPU time a request of the openai package's AsyncOpenAI: openai_client.py URL REQUESTS IN_FLIGHT stream|whole.

The peer of bench/chat_client.c: the same server, the same request."""
import asyncio
import json
import sys
import time

from openai import AsyncOpenAI

url, requests, in_flight, kind = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
PROMPT = ("What is gravity? Explain it as you would to a child of ten years, in a few short "
          "sentences.")
client = AsyncOpenAI(base_url=url, api_key="EMPTY", max_retries=0, timeout=600)
body = {"model": "base", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 64}


async def streamed():
    text = []
    chunks = await client.chat.completions.create(**body, stream=True,
                                                  stream_options={"include_usage": True})
    async for chunk in chunks:
        if chunk.choices and chunk.choices[0].delta.content:
            text.append(chunk.choices[0].delta.content)
    return "".join(text)


async def whole():
    return (await client.chat.completions.create(**body)).choices[0].message.content


async def worker(left):
    while left:
        left.pop()
        if await (streamed() if kind == "stream" else whole()) != " word" * 64:
            sys.exit("another text came")


async def main():
    await worker([0])  # connection, imports
    left = [0] * requests
    begin = time.process_time()
    await asyncio.gather(*(worker(left) for _ in range(in_flight)))
    print(json.dumps({"cpu_us": (time.process_time() - begin) * 1e6 / requests}))


asyncio.run(main())
