"""Plans: for each method of a provider over the C library, what is started, with what, and how its result is
read; awaited and waited for alike. Imported with the first call, so that importing the package stays quick.

Owns: the provider handles' configuration.
"""

from __future__ import annotations

import ctypes
import json
import os
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

from . import _abi, _adapters, _request, _results
from ._late import Late
from ._library import Library, library
from ._plan import Plan
from ._request import OPTIONS
from ._types import AdapterReport, Logits, Messages, ProviderStats, Source
from .exceptions import InvalidArgumentError
from .provider import DetailedResult

if TYPE_CHECKING:
    from . import _operations
    from ._native import NativeProvider
    from ._operations import Stream
else:
    _operations = Late(globals(), "_operations")

__all__ = ["library"]

_FLASH = {"auto": 0, "on": 1, "off": 2}
_EXECUTION = {"auto": 0, "shared": 1, "native": 2}
_OVERFLOW = {"refuse": 0, "evict": 1}
_CHECK = {"auto": 0, "always": 1, "never": 2}


def _nothing(lib: Library, op: int) -> None:
    return None


def _json_text(lib: Library, op: int) -> Any:
    return json.loads(_results.read_text(lib, op))


def inspect(path: Any, base: Any) -> Plan[Dict[str, Any]]:
    if path is None:
        raise InvalidArgumentError("path: give a model's or an adapter's")
    lib = library()
    encoded = _request.c_string("path", os.fspath(path))
    encoded_base = _request.c_string("base", os.fspath(base)) if base else None
    return Plan(lib.functions.inspect_start, (lib.context, encoded, encoded_base), _json_text)


def _choice(values: Mapping[str, int]) -> Callable[[str, Any], int]:
    def convert(name: str, value: Any) -> int:
        if value not in values:
            raise InvalidArgumentError("%s: must be one of %s, not %r" % (name, ", ".join(values), value))
        return values[value]

    return convert


def _count(name: str, value: Any) -> int:
    return _request.whole(name, value, 0, 2**64 - 1)


# Option of a constructor: its field, and how it gets there.
_CONFIG: Dict[str, Tuple[str, Callable[[str, Any], Any]]] = {
    "n_ctx": ("n_ctx", _request.whole),
    "n_gpu_layers": ("n_gpu_layers", _request.whole),
    "n_threads": ("n_threads", _request.whole),
    "max_sequences": ("max_sequences", _request.whole),
    "queue_limit": ("queue_limit", _request.whole),
    "prefill_chunk": ("prefill_chunk", _request.whole),
    "flash_attention": ("flash_attention", _choice(_FLASH)),
    "adapter_execution": ("adapter_execution", _choice(_EXECUTION)),
    "kv_budget_bytes": ("kv_budget_bytes", _count),
    "max_adapters": ("max_adapters", _count),
    "max_adapter_bytes": ("max_adapter_bytes", _count),
    "adapter_overflow": ("adapter_overflow", _choice(_OVERFLOW)),
    "api_key": ("api_key", _request.c_string),
    "headers": ("headers", _request.header_lines),
    "connect_timeout": ("connect_timeout_ms", _request.milliseconds),
    "silence_timeout": ("silence_timeout_ms", _request.milliseconds),
    "max_retries": ("max_retries", _request.whole),
    "adapter_check": ("adapter_check", _choice(_CHECK)),
    "max_connections": ("max_connections", _request.whole),
    "device": ("device", _request.c_string),
    "torch_dtype": ("dtype", _request.c_string),
}


class Handle:
    """An inf_provider, given back when this is forgotten."""

    __slots__ = ("library", "pointer")

    def __init__(self, lib: Library, kind: int, base_url: Optional[str], options: Mapping[str, Any]) -> None:
        self.library = lib
        self.pointer = 0
        config = _abi.PROVIDER_CONFIG.type()
        lib.functions.provider_config_default(ctypes.byref(config), _abi.PROVIDER_CONFIG.size)
        config.type = kind
        if base_url is not None:
            config.base_url = _request.c_string("base_url", base_url)
        for name, value in options.items():
            if value is not None:
                field, convert = _CONFIG[name]
                setattr(config, field, convert(name, value))
        out, error = ctypes.c_void_p(), _abi.ERROR.type()
        code = lib.functions.provider_create(
            ctypes.byref(out), lib.context, ctypes.byref(config), ctypes.byref(error)
        )
        lib.check(code, error)
        self.pointer = out.value or 0

    def __del__(self) -> None:
        if self.pointer:
            self.library.give_back(self.library.functions.provider_release, self.pointer)


def options_of(given: Dict[str, Any]) -> Dict[str, Any]:
    """The options of a request, out of the locals() of a method that takes them by name, or as `options`."""
    options = given.get("options")
    named = {name: given[name] for name in OPTIONS if name in given}
    return {**options, **named} if options else named


def generate(provider: NativeProvider, prompt: Any, model: Any, max_tokens: Any, options: Dict[str, Any]) -> Plan[Any]:
    lib, native = library(), provider._native()
    request, keep = _request.build(lib, prompt, model, max_tokens, options)
    request.keep = keep  # what it borrows
    named, logprobs = provider._result_model(), options.get("logprobs") is not None

    def read(lib: Library, op: int) -> DetailedResult:
        return _results.read_result(lib, op, named, logprobs)

    return Plan(lib.functions.generate_start, (native, ctypes.byref(request)), read, provider._where(), True)


def stream(
    provider: NativeProvider, prompt: Any, model: Any, max_tokens: Any, options: Dict[str, Any]
) -> Stream:
    return _operations.Stream(lambda: generate(provider, prompt, model, max_tokens, options))


def load(provider: NativeProvider, adapter_id: str, given: Source, config: Any) -> Plan[AdapterReport]:
    if not provider._has_adapters:  # the library says so, whatever they are
        adapter_id, given, config = "unused", "unused", None
    lib, native = library(), provider._native()
    path, weights, config_json = _adapters.source(given, config)
    source = _abi.ADAPTER_SOURCE.type()
    lib.functions.adapter_source_default(ctypes.byref(source), _abi.ADAPTER_SOURCE.size)
    if path is not None:
        source.path = _request.c_string("adapter_path", path)
    else:
        source.weights, source.weights_len = weights, len(weights or b"")
        if config_json is not None:
            source.config, source.config_len = config_json, len(config_json)
    encoded = _request.c_string("adapter_id", adapter_id)

    def read(lib: Library, op: int) -> AdapterReport:
        return _results.read_report(lib, op, adapter_id)

    arguments = (native, encoded, ctypes.byref(source))
    return Plan(lib.functions.adapter_load_start, arguments, read, provider._where())


def unload(provider: NativeProvider, adapter_id: str) -> Plan[None]:
    name = adapter_id if provider._has_adapters else "unused"
    arguments = (provider._native(), _request.c_string("adapter_id", name))
    return Plan(library().functions.adapter_unload_start, arguments, _nothing, provider._where())


def model(provider: NativeProvider, load: bool) -> Plan[None]:
    functions = library().functions
    start = functions.provider_load_start if load else functions.provider_unload_start
    return Plan(start, (provider._native(),), _nothing)


def tokenize(provider: NativeProvider, text: str, add_special: bool) -> Plan[List[int]]:
    raw = _request.utf8("text", text)
    arguments = (provider._native(), _abi.Text(raw, len(raw)), _request.flag("add_special", add_special))
    return Plan(library().functions.tokenize_start, arguments, _results.read_tokens)


def detokenize(provider: NativeProvider, ids: Iterable[int], skip_special: bool) -> Plan[str]:
    array, n = _request.ids_array("ids", ids)
    arguments = (provider._native(), array, n, _request.flag("skip_special", skip_special))
    return Plan(library().functions.detokenize_start, arguments, _results.read_text)


def render(
    provider: NativeProvider, messages: Messages, add_generation_prompt: bool, variables: Mapping[str, Any]
) -> Plan[str]:
    raw = _request.as_json("messages", {**variables, "messages": list(messages)} if variables else list(messages))
    prompted = _request.flag("add_generation_prompt", add_generation_prompt)
    arguments = (provider._native(), _abi.Text(raw, len(raw)), prompted)
    return Plan(library().functions.render_start, arguments, _results.read_text)


def inspect_from(provider: NativeProvider, path: Any, base: Any) -> Plan[Dict[str, Any]]:
    own = provider._url if provider._in_process else None  # a server's URL is no path
    if path is None:
        path = own
    elif base is None:
        base = own
    return inspect(path, base)


def logits(
    provider: NativeProvider, ids: Iterable[int], top: int, probe: Iterable[int], options: Mapping[str, Any]
) -> Plan[Logits]:
    lib, native = library(), provider._native()
    request = _abi.LOGITS_REQUEST.type()
    lib.functions.logits_request_default(ctypes.byref(request), _abi.LOGITS_REQUEST.size)
    keep: List[Any] = []
    for field, values in (("token_ids", ids), ("probe", probe)):
        array, n = _request.ids_array(field, values)
        keep.append(array)
        setattr(request, field, ctypes.addressof(array))
        setattr(request, "n_" + field, n)
    request.top = _request.whole("top", top)
    _request.set_options(request, options, keep)
    request.keep = keep
    return Plan(lib.functions.logits_start, (native, ctypes.byref(request)), _results.read_logits)


def server_adapters(provider: NativeProvider) -> Plan[List[Dict[str, Any]]]:
    return Plan(library().functions.server_adapters_start, (provider._native(),), _json_text, provider._where())


def adapter_ids(provider: NativeProvider) -> List[str]:
    lib, out, error = library(), ctypes.c_void_p(), _abi.ERROR.type()
    lib.check(lib.functions.adapters(ctypes.byref(out), provider._native(), ctypes.byref(error)), error)
    try:
        n = lib.functions.adapter_list_count(out)
        return [lib.functions.adapter_list_id(out, i).decode() for i in range(n)]
    finally:
        lib.functions.adapter_list_free(out)


def stats(provider: NativeProvider) -> ProviderStats:
    layout = _abi.PROVIDER_STATS
    buffer, error = ctypes.create_string_buffer(layout.size), _abi.ERROR.type()
    lib = library()
    code = lib.functions.provider_get_stats(provider._native(), buffer, layout.size, ctypes.byref(error))
    lib.check(code, error)
    return ProviderStats(*layout.read.unpack(buffer)[1:])
