"""Python's arguments as the C library's structs.

Owns: what types an argument may have, and how each becomes a field. Ranges, and what goes with what, are the
library's to check: its messages are better than any made here.
The structs borrow bytes objects and arrays: they are kept in `keep`, or by ctypes itself, until the start,
which copies, has returned.
"""

from __future__ import annotations

import ctypes
import json
import math
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

from . import _abi
from ._types import Adapters, Messages, Schema, Tools
from .exceptions import InvalidArgumentError

if TYPE_CHECKING:
    from ._library import Library

DEFAULT_MAX_TOKENS = 4096


def utf8(name: str, value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")  # the library refuses what is no UTF-8, by field
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    raise TypeError("%s must be str, not %s" % (name, type(value).__name__))


def c_string(name: str, value: Any) -> bytes:
    encoded = utf8(name, value)
    if b"\0" in encoded:
        raise InvalidArgumentError("%s: holds a NUL character" % name)
    return encoded


def _as_plain(value: Any) -> Any:
    """Mappings and sequences that are no dict, list or tuple."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return list(value)
    raise TypeError("a value of type %s" % type(value).__name__)


def as_json(name: str, value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_as_plain).encode(
            "utf-8", "surrogatepass"
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError("%s: is no JSON: %s" % (name, error)) from None


def schema_json(value: Schema) -> bytes:
    """A JSON schema from a dict, a text, or a pydantic model class (of either version)."""
    if isinstance(value, (str, bytes)):
        return utf8("json_schema", value)
    if isinstance(value, type):
        for method in ("model_json_schema", "schema"):
            of_class = getattr(value, method, None)
            if callable(of_class):
                return as_json("json_schema", of_class())
        raise TypeError("json_schema must be a dict, a JSON text or a pydantic model class, not %r" % value)
    return as_json("json_schema", value)


def milliseconds(name: str, seconds: float) -> int:
    """-1 for infinity. Below a millisecond is one, so that only 0 is 0."""
    seconds = real(name, seconds, "a number of seconds")
    if seconds == math.inf:
        return -1
    if not 0 < seconds < 1e15:
        raise InvalidArgumentError("%s: must be above 0 seconds; math.inf is no limit" % name)
    return max(1, round(seconds * 1000))


def whole(name: str, value: Any, low: int = -(2**31), high: int = 2**31 - 1) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError("%s must be int, not %s" % (name, type(value).__name__))
    number: int = value.__index__()
    if not low <= number <= high:
        raise InvalidArgumentError("%s: %d is not in %d..%d" % (name, number, low, high))
    return number


def real(name: str, value: Any, kind: str = "float") -> float:
    if isinstance(value, (bool, str, bytes)) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise TypeError("%s must be %s, not %s" % (name, kind, type(value).__name__))
    try:
        return float(value)
    except OverflowError:
        raise InvalidArgumentError("%s: is too large" % name) from None


def ids_array(name: str, ids: Iterable[int]) -> Any:
    values = [whole(name, value) for value in ids]
    return (ctypes.c_int32 * max(1, len(values)))(*values), len(values)


def header_lines(name: str, headers: Union[str, Mapping[str, str]]) -> bytes:
    if isinstance(headers, str):
        return c_string(name, headers)
    lines = []
    for key, value in headers.items():
        if "\n" in key or "\n" in value or "\r" in key or "\r" in value:
            raise InvalidArgumentError("%s: a line break in %r" % (name, key))
        lines.append("%s: %s" % (key, value))
    return c_string(name, "\n".join(lines))


# ---- one setter a field; s is the struct, v the value


def _text(name: str) -> Callable[[Any, Any], None]:
    length = name + "_len"

    def set_text(s: Any, v: Any) -> None:
        raw = utf8(name, v)
        setattr(s, name, raw)
        setattr(s, length, len(raw))

    return set_text


def _number(name: str, convert: Callable[[str, Any], Any]) -> Callable[[Any, Any], None]:
    is_set = name + "_set"

    def set_number(s: Any, v: Any) -> None:
        setattr(s, is_set, True)
        setattr(s, name, convert(name, v))

    return set_number


def _seed(name: str, value: Any) -> int:
    return whole(name, value, 0, 2**64 - 1)


def _json_field(field: str, name: str) -> Callable[[Any, Any], None]:
    length = field + "_len"

    def set_json(s: Any, v: Any) -> None:
        raw = utf8(name, v) if isinstance(v, (str, bytes)) else as_json(name, v)
        setattr(s, field, raw)
        setattr(s, length, len(raw))

    return set_json


def _schema(s: Any, v: Any) -> None:
    raw = schema_json(v)
    s.json_schema = raw
    s.json_schema_len = len(raw)


def flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("%s must be bool, not %s" % (name, type(value).__name__))
    return value


def _flag(name: str) -> Callable[[Any, Any], None]:
    def set_flag(s: Any, v: Any) -> None:
        setattr(s, name, flag(name, v))

    return set_flag


def _time(field: str, name: str) -> Callable[[Any, Any], None]:
    def set_time(s: Any, v: Any) -> None:
        setattr(s, field, milliseconds(name, v))

    return set_time


def _add_special(s: Any, v: Any) -> None:
    s.add_special_set = True
    s.add_special = flag("add_special", v)


_SPECULATE = {"auto": 0, "off": 1, "lookup": 2}


def _speculate(s: Any, v: Any) -> None:
    if v not in _SPECULATE:
        raise InvalidArgumentError("speculate: must be one of %s, not %r" % (", ".join(_SPECULATE), v))
    s.speculate = _SPECULATE[v]


def _headers(s: Any, v: Any) -> None:
    raw = header_lines("extra_headers", v)
    s.extra_headers = raw
    s.extra_headers_len = len(raw)


def _texts_array(name: str, values: Iterable[Any], keep: List[Any]) -> Tuple[int, int]:
    encoded = [utf8(name, value) for value in values]
    array = (_abi.Text * max(1, len(encoded)))(*[_abi.Text(raw, len(raw)) for raw in encoded])
    keep += [array, encoded]
    return ctypes.addressof(array), len(encoded)


def _adapters_array(adapters: Adapters, keep: List[Any]) -> Tuple[int, int]:
    pairs: List[Tuple[str, Optional[float]]] = []
    if isinstance(adapters, str):
        raise TypeError("adapters must be a dict of scales by id, or a list of ids, not str; one id is adapter_id")
    named: Any = adapters.items() if isinstance(adapters, Mapping) else adapters
    for item in named:
        try:
            adapter_id, scale = (item, None) if isinstance(item, str) else item
        except (TypeError, ValueError):
            raise TypeError("adapters: %r is neither an id nor a pair of an id and a scale" % (item,)) from None
        pairs.append((adapter_id, scale))
    array = (_abi.REQUEST_ADAPTER.type * max(1, len(pairs)))()
    for field, (adapter_id, scale) in zip(array, pairs):
        raw = utf8("adapters", adapter_id)
        field.id, field.id_len = raw, len(raw)
        keep.append(raw)
        if scale is not None:
            field.scale_set, field.scale = True, real("adapters[%r]" % adapter_id, scale)
    keep.append(array)
    return ctypes.addressof(array), len(pairs)


def _stop(s: Any, v: Any, keep: List[Any]) -> None:
    if isinstance(v, bytes) or not hasattr(v, "__iter__"):
        raise TypeError("stop must be str or a list of str, not %s" % type(v).__name__)
    s.stop, s.n_stop = _texts_array("stop", [v] if isinstance(v, str) else v, keep)


def _stop_ids(s: Any, v: Any, keep: List[Any]) -> None:
    array, n = ids_array("stop_token_ids", v)
    keep.append(array)
    s.stop_token_ids, s.n_stop_token_ids = ctypes.addressof(array), n


def _adapters(s: Any, v: Any, keep: List[Any]) -> None:
    s.adapters, s.n_adapters = _adapters_array(v, keep)


_SETTERS: Dict[str, Callable[[Any, Any], None]] = {
    "messages": _json_field("messages_json", "messages"),
    "template_variables": _json_field("template_variables", "template_variables"),
    "adapter_id": _text("adapter_id"),
    "system_prompt": _text("system_prompt"),
    "temperature": _number("temperature", real),
    "top_p": _number("top_p", real),
    "top_k": _number("top_k", whole),
    "min_p": _number("min_p", real),
    "repetition_penalty": _number("repetition_penalty", real),
    "frequency_penalty": _number("frequency_penalty", real),
    "presence_penalty": _number("presence_penalty", real),
    "seed": _number("seed", _seed),
    "adapter_scale": _number("adapter_scale", real),
    "logprobs": _number("logprobs", whole),
    "json_schema": _schema,
    "grammar": _text("grammar"),
    "extra_body": _json_field("extra_json", "extra_body"),
    "extra_headers": _headers,
    "timeout": _time("timeout_ms", "timeout"),
    "queue_timeout": _time("queue_timeout_ms", "queue_timeout"),
    "ignore_eos": _flag("ignore_eos"),
    "plain_prompt": _flag("plain_prompt"),
    "add_special": _add_special,
    "tools": _json_field("tools", "tools"),
    "tool_choice": _json_field("tool_choice", "tool_choice"),
    "plain_output": _flag("plain_output"),
    "continue_final_message": _flag("continue_final_message"),
    "speculate": _speculate,
    "reference": _text("reference"),
}
_KEEPING: Dict[str, Callable[[Any, Any, List[Any]], None]] = {
    "stop": _stop,
    "stop_token_ids": _stop_ids,
    "adapters": _adapters,
}
OPTIONS = frozenset(_SETTERS) | frozenset(_KEEPING)


def set_options(s: Any, options: Mapping[str, Any], keep: List[Any]) -> None:
    for name, value in options.items():
        if value is None:
            continue
        setter = _SETTERS.get(name)
        if setter is not None:
            setter(s, value)
        elif name in _KEEPING:
            _KEEPING[name](s, value, keep)
        else:
            raise TypeError("generate() got an unexpected keyword argument %r" % name)


def build(
    library: Library, prompt: Optional[str], model: str, max_tokens: int, options: Dict[str, Any]
) -> Tuple[Any, List[Any]]:
    """The inf_request, and what must live as long as it is used."""
    s = _abi.REQUEST.type.from_buffer_copy(library.requests)
    keep: List[Any] = []
    if prompt is not None and (prompt or options.get("messages") is None):
        raw = utf8("prompt", prompt)
        s.prompt = raw
        s.prompt_len = len(raw)
    if model is not None:
        raw = utf8("model", model)
        s.model = raw
        s.model_len = len(raw)
    n = whole("max_tokens", max_tokens)
    if n != DEFAULT_MAX_TOKENS:  # left at its default, a server may fit it to its window
        s.max_tokens_set = True
        s.max_tokens = n
    set_options(s, options, keep)
    return s, keep
