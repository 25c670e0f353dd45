"""The ten lines of docs/python.md: hello.py MODEL.gguf [ADAPTER]"""

import asyncio
import sys

from inference import LlamaCppProvider


async def main() -> None:
    provider = LlamaCppProvider(sys.argv[1])
    adapter = None
    if len(sys.argv) > 2:
        adapter = (await provider.load_adapter("style", sys.argv[2])).adapter_id
    question = [{"role": "user", "content": "What is rain?"}]
    async for chunk in provider.stream("", "", adapter, max_tokens=60, messages=question):
        print(chunk.text, end="", flush=True)
    print()


asyncio.run(main())
