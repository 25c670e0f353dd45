"""A small agent loop: for each subtask an adapter is made in memory, tried at several scales, and unloaded.

    agent_loop.py MODEL.gguf [SUBTASKS]

A real agent's adapters come from a hypernetwork or a training step; these are random, and small enough to
change the text without breaking it. What matters is the traffic: an adapter lives for one subtask, all its
attempts run at once, each at its own scale, and share the decode with those of the other subtasks.
"""

from __future__ import annotations

import asyncio
import random
import sys
from array import array
from typing import Any, Dict, List, Tuple

from inference import LlamaCppProvider

RANK = 4
SCALES = (0.0, 0.5, 1.0, 2.0)


def matrix(rows: int, columns: int, spread: float, seed: int) -> memoryview[float]:
    """Random numbers, as the rows of a float32 matrix."""
    made = random.Random(seed)
    values = array("f", [made.uniform(-spread, spread) for _ in range(rows * columns)])
    return memoryview(values).cast("B").cast("f", (rows, columns))


def make_adapter(about: Dict[str, Any], seed: int) -> Tuple[Dict[str, memoryview[float]], Dict[str, Any]]:
    """A LoRA of the query projections: what PEFT would save, as arrays and a config."""
    size, heads = about["n_embd"], about["n_head"] * about["head_dim"]
    weights: Dict[str, memoryview[float]] = {}
    for layer in range(about["n_layer"]):
        name = "base_model.model.model.layers.%d.self_attn.q_proj.lora_" % layer
        weights[name + "A.weight"] = matrix(RANK, size, 0.05, seed * 1000 + layer)
        weights[name + "B.weight"] = matrix(heads, RANK, 0.05, seed * 1000 + layer + 500)
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 2 * RANK, "target_modules": ["q_proj"]}
    return weights, config


async def subtask(provider: LlamaCppProvider, about: Dict[str, Any], number: int) -> List[str]:
    name = "subtask-%d" % number
    weights, config = make_adapter(about, number)
    report = await provider.load_adapter(name, weights, config=config)
    try:
        question = [{"role": "user", "content": "Name one use of the number %d." % (number + 2)}]
        attempts = [
            provider.generate(
                "", "", name, 24, temperature=0.0, messages=question, adapter_scale=scale, seed=number
            )
            for scale in SCALES
        ]
        results = await asyncio.gather(*attempts)
    finally:
        await provider.unload_adapter(name)
    shared = max(result.mean_rows for result in results)
    print("%s: %d modules, %d bytes, up to %.1f requests a step" % (name, report.modules, report.bytes, shared))
    for scale, result in zip(SCALES, results):
        print("  %.1f  %s" % (scale, " ".join(result.text.split())))
    return [result.text for result in results]


async def main() -> None:
    provider = LlamaCppProvider(sys.argv[1], n_ctx=512)
    subtasks = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    about = await provider.inspect()
    answers = await asyncio.gather(*[subtask(provider, about, i) for i in range(subtasks)])
    different = sum(len(set(texts)) > 1 for texts in answers)
    print("%d subtasks, %d of them with different answers at different scales" % (subtasks, different))
    assert await provider.list_adapters() == []


asyncio.run(main())
