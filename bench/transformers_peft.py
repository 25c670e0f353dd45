#!/usr/bin/env python3
"""transformers and PEFT under measurement, as bench/driver.c is this library: commands on stdin, JSON lines back.

    bench/transformers_peft.py MODEL THREADS            with a Python that has torch, transformers and peft
    bench/transformers_peft.py MODEL THREADS PROMPT     one token after PROMPT, then the end

    register N PREFIX K       adapters a0 .. a<N-1> from the directories PREFIX0 .. PREFIX<K-1>
    generate N A T P          N requests in one batch, T tokens each, prompts of P tokens; request i has adapter
                              a<i mod A> (A 0: none)
    decode T I                one stream's decode speed over T tokens under adapter a<I> (-1: none)
    prefill P I               the prompt's time: P tokens under adapter a<I> (-1: none)

The weights are in the checkpoint's type, which is how transformers loads them, and attention is its default.
"""
import contextlib
import json
import os
import sys
import time
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers


class Peer:
    def __init__(self, model, threads):
        torch.set_num_threads(threads)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(model, dtype="auto")
        self.salt = torch.Generator().manual_seed(1)
        self.has_adapters = False

    def prompt(self, rows, length):
        return torch.randint(1000, 5000, (rows, length), generator=self.salt)

    def register(self, n, prefix, k):
        import peft
        for i in range(n):
            path, name = f"{prefix}{i % k}", f"a{i}"
            if not self.has_adapters:
                # In the model's type, as an adapter that was trained in it is: f32 ones would be slower.
                self.model = peft.PeftModel.from_pretrained(self.model, path, adapter_name=name,
                                                            autocast_adapter_dtype=False)
                self.has_adapters = True
            else:
                self.model.load_adapter(path, name, autocast_adapter_dtype=False)
        self.model.to(next(self.model.get_base_model().parameters()).dtype)

    def run(self, prompt, tokens, adapters):
        """Under one adapter for all rows it is made the active one; mixed ones are named row by row."""
        more = {}
        base = contextlib.nullcontext()
        names = sorted(set(adapters))
        if self.has_adapters and names == [None]:
            base = self.model.disable_adapter()
        elif len(names) == 1 and names[0]:
            self.model.set_adapter(names[0])
        elif names != [None]:
            more["adapter_names"] = adapters
        begin = time.perf_counter()
        with base, torch.inference_mode():
            self.model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=tokens,
                                min_new_tokens=tokens, do_sample=False, **more)
        return time.perf_counter() - begin

    def generate(self, requests, adapters, tokens, length):
        names = [f"a{i % adapters}" if adapters else None for i in range(requests)]
        return {"tokens": requests * tokens, "seconds": self.run(self.prompt(requests, length), tokens, names)}

    def prefill(self, length, adapter):
        names = [f"a{adapter}" if adapter >= 0 else None]
        return {"ms": self.run(self.prompt(1, length), 1, names) * 1e3}

    def decode(self, tokens, adapter):
        names = [f"a{adapter}" if adapter >= 0 else None]
        first = self.run(self.prompt(1, 2), 1, names)
        return {"tokens_per_second": tokens / (self.run(self.prompt(1, 2), tokens + 1, names) - first)}


def first(model, threads, text):
    torch.set_num_threads(threads)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(model, dtype="auto")
    loaded.generate(**tokenizer(text, return_tensors="pt", return_token_type_ids=False), max_new_tokens=1,
                    do_sample=False)


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    if len(sys.argv) > 3:
        first(sys.argv[1], int(sys.argv[2]), sys.argv[3])
        return
    peer = Peer(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin:
        command, *words = line.split()
        if command == "register":
            begin = time.perf_counter()
            peer.register(int(words[0]), words[1], int(words[2]))
            answer = {"ms": (time.perf_counter() - begin) * 1e3}
        else:
            answer = {"generate": peer.generate, "decode": peer.decode, "prefill": peer.prefill}[command](
                *map(int, words))
        print(json.dumps(answer), flush=True)


main()
