#!/usr/bin/env python3
"""Writes tests/unit/sampling_cases.h: what the processors that transformers' generate() would use make of some
logits: the probability of each token that is left.

    scripts/make_sampling_cases.py > tests/unit/sampling_cases.h

Python with torch and transformers (requirements-parity.txt). The processors are those of generate() itself, in its
order, for a GenerationConfig of each case.
"""
import torch
import transformers

TOKENS = 200

CASES = [  # temperature, top_k, top_p, min_p, repetition_penalty, tokens before
    (1.0, 0, 1.0, 0.0, 1.0, []),
    (0.7, 50, 1.0, 0.0, 1.0, []),
    (1.6, 50, 0.9, 0.0, 1.0, []),
    (0.6, 20, 0.95, 0.0, 1.0, []),
    (1.0, 0, 0.5, 0.0, 1.0, []),
    (1.0, 0, 1.0, 0.05, 1.0, []),
    (2.5, 40, 0.8, 0.1, 1.0, []),
    (1.0, 64, 0.95, 0.0, 1.3, [3, 17, 17, 44, 90, 91, 150, 199]),
    (1.3, 0, 0.9, 0.02, 1.15, list(range(0, 200, 3))),
    (0.8, 1, 1.0, 0.0, 1.0, []),
    (1.0, 3, 0.99, 0.0, 0.8, [1, 2, 3, 4]),
    (1.5, 500, 0.3, 0.0, 1.05, [10, 20, 30]),
]


def logits_of(case):
    """The same as the test computes; no two are equal, since what is kept of equals is up to torch's sort, which
    has another order on another CPU."""
    state, out = 1000 + case, []
    for _ in range(TOKENS):
        state = (state * 1664525 + 1013904223) % 2**32
        out.append(((state >> 8) % 12000000 - 6000000) / 2**20)
    assert len(set(out)) == TOKENS
    return torch.tensor([out])


def processors(config, length):
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=TOKENS))
    config, _ = model._prepare_generation_config(config)
    model._prepare_special_tokens(config, device="cpu")
    return model._get_logits_processor(generation_config=config, input_ids_seq_length=length, encoder_input_ids=None,
                                       prefix_allowed_tokens_fn=None, logits_processor=transformers.LogitsProcessorList())


def case_text(number, case):
    temperature, top_k, top_p, min_p, penalty, before = case
    config = transformers.GenerationConfig(do_sample=True, temperature=temperature, top_k=top_k, top_p=top_p,
                                           min_p=min_p or None, repetition_penalty=penalty)
    ids = torch.tensor([before], dtype=torch.long)
    scores = processors(config, len(before))(ids, logits_of(number).clone())
    shares = torch.softmax(scores.double(), -1)[0]
    left = [(i, share) for i, share in enumerate(shares.tolist()) if share > 0]
    tokens = ", ".join(map(str, before)) or "0"
    return (f"    {{{temperature}f, {top_k}, {top_p}f, {min_p}f, {penalty}f, {len(before)}, {{{tokens}}}, {len(left)}, "
            "{" + ", ".join(f"{{{i}, {share:.9g}}}" for i, share in left) + "}},")


def main():
    print("/* Made by scripts/make_sampling_cases.py with transformers " + transformers.__version__ + ". */")
    print(f"enum {{ CASE_TOKENS = {TOKENS} }};")
    print("static const struct sampling_case {\n"
          "    float temperature;\n    int top_k;\n    float top_p, min_p, penalty;\n"
          "    int n_before, before[CASE_TOKENS];\n    int n_left;\n"
          "    struct {\n        int token;\n        double share;\n    } left[CASE_TOKENS];\n} sampling_cases[] = {")
    for number, case in enumerate(CASES):
        print(case_text(number, case))
    print("};")


main()
