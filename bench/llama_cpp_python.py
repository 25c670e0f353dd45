#!/usr/bin/env python3
"""llama-cpp-python under measurement, as bench/driver.c is this library: commands on stdin, JSON lines back.

    bench/llama_cpp_python.py MODEL.gguf THREADS        with a Python that has llama-cpp-python

    register N PREFIX K       adapters from PREFIX0.gguf .. PREFIX<K-1>.gguf
    generate N A T P          N requests one after another, T tokens each, prompts of P tokens; request i has
                              adapter i mod A (A 0: none)

A Llama has one sequence, so it decodes one request at a time, and one adapter, given when it is made; here the
binding's own functions set another one before each request, which loads nothing again.
"""
import ctypes
import itertools
import json
import random
import sys
import time

import llama_cpp


class Peer:
    def __init__(self, model, threads):
        self.llama = llama_cpp.Llama(model, n_ctx=4096, n_threads=threads, n_threads_batch=threads, verbose=False)
        self.adapters = []
        self.random = random.Random(1)

    def register(self, n, prefix, k):
        for i in range(n):
            path = f"{prefix}{i % k}.gguf"
            adapter = llama_cpp.llama_adapter_lora_init(self.llama._model.model, path.encode())
            if not adapter:
                sys.exit(f"{path} cannot be loaded")
            self.adapters.append(adapter)

    def choose(self, adapter):
        chosen = [] if adapter is None else [self.adapters[adapter]]
        pointers = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(*chosen)
        if llama_cpp.llama_set_adapters_lora(self.llama._ctx.ctx, pointers, len(chosen), (ctypes.c_float * 1)(1.0)):
            sys.exit("the adapter cannot be set")

    def request(self, adapter, tokens, length):
        prompt = [self.random.randrange(1000, 5000) for _ in range(length)]
        self.choose(adapter)
        self.llama.reset()
        return sum(1 for _ in itertools.islice(self.llama.generate(prompt, temp=0.0), tokens))

    def generate(self, requests, adapters, tokens, length):
        begin = time.perf_counter()
        done = sum(self.request(i % adapters if adapters else None, tokens, length) for i in range(requests))
        return {"tokens": done, "seconds": time.perf_counter() - begin}


def main():
    peer = Peer(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin:
        command, *words = line.split()
        if command == "register":
            begin = time.perf_counter()
            peer.register(int(words[0]), words[1], int(words[2]))
            answer = {"ms": (time.perf_counter() - begin) * 1e3}
        elif command == "generate":
            answer = peer.generate(*map(int, words))
        else:
            sys.exit(f"not understood: {line}")
        print(json.dumps(answer), flush=True)


main()
