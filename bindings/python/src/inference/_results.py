"""What an ended operation left, as Python values.

Owns: reading the C library's result structs, whose memory belongs to the operation; everything is copied
here, so that a result outlives it.
"""

from __future__ import annotations

import json
from array import array
from ctypes import addressof, create_string_buffer, string_at
from typing import TYPE_CHECKING, Any, List, Optional, Tuple, Union

from . import _abi
from ._types import AdapterReport, Logits, Logprob, ProviderStats, UsedAdapter
from .provider import DetailedResult

if TYPE_CHECKING:
    from ._library import Library

__all__ = ["AdapterReport", "DetailedResult", "Logits", "ProviderStats"]

_R = _abi.RESULT.index
_TEXT, _MODEL, _ADAPTER, _REASON = _R["text"], _R["model"], _R["adapter_id"], _R["finish_reason"]
_REASONING, _TOOL_CALLS, _COUNT = _R["reasoning"], _R["tool_calls"], _R["token_count"]
_IDS, _LOGPROBS, _TIMES, _ADAPTERS = _R["token_ids"], _R["logprobs"], _R["queued_us"], _R["adapters"]
_GENERATION, _PREFIX = _R["adapter_generation"], _R["prefix_tokens"]


def text_at(address: int, length: int) -> str:
    return string_at(address, length).decode("utf-8", "replace") if length else ""


def _piece_at(address: int, length: int) -> Union[str, bytes]:
    raw = string_at(address, length) if length else b""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _tokens_at(address: int, n: int) -> Tuple[int, ...]:
    return tuple(memoryview(string_at(address, 4 * n)).cast("i")) if n else ()


def _floats_at(address: int, n: int) -> array[float]:
    return array("f", string_at(address, 4 * n) if n else b"")


def _adapters_at(address: int, n: int) -> Tuple[UsedAdapter, ...]:
    layout = _abi.RESULT_ADAPTER
    rows = layout.read.iter_unpack(string_at(address, layout.size * n)) if n else ()
    return tuple(UsedAdapter(text_at(row[0], row[1]), row[2], row[3]) for row in rows)


def _alternatives_at(address: int, n: int) -> Tuple[Logprob, ...]:
    layout = _abi.ALTERNATIVE
    rows = layout.read.iter_unpack(string_at(address, layout.size * n)) if n else ()
    return tuple(Logprob(row[0], _piece_at(row[2], row[3]), row[1]) for row in rows)


def _logprobs_at(address: int, n: int) -> Tuple[Logprob, ...]:
    layout = _abi.LOGPROB
    rows = layout.read.iter_unpack(string_at(address, layout.size * n)) if n else ()
    return tuple(
        Logprob(row[0], _piece_at(row[2], row[3]), row[1], _alternatives_at(row[4], row[5])) for row in rows
    )


def _told(count: int) -> Optional[int]:
    return count if count >= 0 else None


def read_result(library: Library, op: int, model: Optional[str], logprobs: bool) -> DetailedResult:
    """The result of a generate operation; `model` stands in for the library's, where it is set."""
    layout = _abi.RESULT
    buffer = create_string_buffer(layout.size)
    library.check(library.functions.op_result(op, buffer, layout.size))
    v = layout.read.unpack(buffer)
    result = DetailedResult(
        text_at(v[_TEXT], v[_TEXT + 1]),
        model if model is not None else text_at(v[_MODEL], v[_MODEL + 1]),
        text_at(v[_ADAPTER], v[_ADAPTER + 1]) if v[_ADAPTER] else None,
        v[_COUNT] if v[_COUNT] > 0 else 0,
        text_at(v[_REASON], v[_REASON + 1]),
    )
    result.prompt_tokens = _told(v[_COUNT + 1])
    result.completion_tokens = _told(v[_COUNT + 2])
    result._times = v[_TIMES : _TIMES + 6]
    result.prefix_tokens, result.steps, result.mean_rows, result.mean_adapters = v[_PREFIX : _PREFIX + 4]
    result.row_independent = bool(v[_PREFIX + 5])
    result.drafted_tokens, result.accepted_tokens = v[_PREFIX + 6 : _PREFIX + 8]
    if v[_IDS + 1]:
        result.token_ids = _tokens_at(v[_IDS], v[_IDS + 1])
    if v[_ADAPTERS + 1]:
        result.adapter_generation = v[_GENERATION]
        result.adapters = _adapters_at(v[_ADAPTERS], v[_ADAPTERS + 1])
    if logprobs:
        result.logprobs = _logprobs_at(v[_LOGPROBS], v[_LOGPROBS + 1])
    if v[_REASONING]:
        result.reasoning = text_at(v[_REASONING], v[_REASONING + 1])
    if v[_TOOL_CALLS]:
        result.tool_calls = json.loads(text_at(v[_TOOL_CALLS], v[_TOOL_CALLS + 1]))
    return result


def _report(values: Tuple[Any, ...], adapter_id: str) -> AdapterReport:
    _, generation, size, form, rank, scale, modules, tensors, replaced, _, _, evicted, evicted_len = values
    return AdapterReport(
        adapter_id,
        generation,
        {1: "peft", 2: "gguf"}.get(form, ""),
        rank,
        scale,
        modules,
        tensors,
        size,
        bool(replaced),
        tuple(text_at(evicted, evicted_len).split()),
    )


def read_report(library: Library, op: int, adapter_id: str) -> AdapterReport:
    layout = _abi.ADAPTER_REPORT
    buffer = create_string_buffer(layout.size)
    library.check(library.functions.op_adapter_report(op, buffer, layout.size))
    return _report(layout.read.unpack(buffer), adapter_id)


def read_text(library: Library, op: int) -> str:
    buffer = create_string_buffer(16)
    library.check(library.functions.op_text(op, buffer))
    return text_at(*_abi.TEXT.read.unpack(buffer))


def read_tokens(library: Library, op: int) -> List[int]:
    buffer = create_string_buffer(16)
    address = addressof(buffer)
    library.check(library.functions.op_tokens(op, address, address + 8))
    return list(_tokens_at(*_abi.TEXT.read.unpack(buffer)))


def read_logits(library: Library, op: int) -> Logits:
    layout = _abi.LOGITS_RESULT
    buffer = create_string_buffer(layout.size)
    library.check(library.functions.op_logits(op, buffer, layout.size))
    _, top_ids, top, n_top, probe, n_probe, every, n_vocab = layout.read.unpack(buffer)
    return Logits(
        tuple(zip(_tokens_at(top_ids, n_top), _floats_at(top, n_top))),
        tuple(_floats_at(probe, n_probe)),
        _floats_at(every, n_vocab),
    )
