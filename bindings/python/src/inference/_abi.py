"""The C library's structs and functions, as inference.h declares them.

Owns: the layouts. A table row is one struct; members that are small structs themselves (inf_text,
inf_maybe_...) are laid out flat, with the padding a C compiler puts in, since reading and writing flat
fields costs a third of the time. tests/python compares every offset with the header.
Refuses to know: what the fields mean, when they are called.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Any, Callable, Dict, List, Tuple

# Code of a field: its alignment, and the (suffix, struct code, ctypes type) of its parts.
_PARTS: Dict[str, Tuple[int, Tuple[Tuple[str, str, Any], ...]]] = {
    "i": (4, (("", "i", ctypes.c_int32),)),
    "q": (8, (("", "q", ctypes.c_int64),)),
    "Q": (8, (("", "Q", ctypes.c_uint64),)),
    "z": (8, (("", "Q", ctypes.c_size_t),)),
    "f": (4, (("", "f", ctypes.c_float),)),
    "d": (8, (("", "d", ctypes.c_double),)),
    "b": (1, (("", "?", ctypes.c_bool),)),
    "p": (8, (("", "Q", ctypes.c_void_p),)),
    "s": (8, (("", "Q", ctypes.c_char_p),)),  # const char *
    "t": (8, (("", "Q", ctypes.c_char_p), ("_len", "Q", ctypes.c_size_t))),  # inf_text
    "mi": (4, (("_set", "?", ctypes.c_bool), ("", "i", ctypes.c_int32))),
    "mQ": (8, (("_set", "?", ctypes.c_bool), ("", "Q", ctypes.c_uint64))),
    "mf": (4, (("_set", "?", ctypes.c_bool), ("", "f", ctypes.c_float))),
    "mb": (1, (("_set", "?", ctypes.c_bool), ("", "?", ctypes.c_bool))),
}


class Layout:
    """One struct: `type` is for writing (ctypes), `read` for reading (struct)."""

    def __init__(self, name: str, fields: str) -> None:
        self.name = name
        self.index: Dict[str, int] = {}
        self.offsets: Dict[str, int] = {}
        codes: List[str] = ["="]
        members: List[Tuple[str, Any]] = []
        offset, widest = 0, 1

        def pad(alignment: int) -> None:
            nonlocal offset
            gap = -offset % alignment
            if gap:
                codes.append("%dx" % gap)
                members.append(("_pad%d" % offset, ctypes.c_ubyte * gap))
                offset += gap

        for field in fields.split():
            field_name, _, code = field.partition(":")
            if code.startswith("c"):  # char[n]
                n = int(code[1:])
                parts: Tuple[Tuple[str, str, Any], ...] = (("", "%ds" % n, ctypes.c_char * n),)
                alignment = 1
            else:
                alignment, parts = _PARTS[code]
            pad(alignment)
            widest = max(widest, alignment)
            for suffix, part_code, part_type in parts:
                pad(ctypes.alignment(part_type))
                self.index[field_name + suffix] = len(self.index)
                self.offsets[field_name + suffix] = offset
                codes.append(part_code)
                members.append((field_name + suffix, part_type))
                offset += ctypes.sizeof(part_type)
        pad(widest)
        self.size = offset
        self.read = struct.Struct("".join(codes))
        self._members = members
        self._type: Any = None

    @property
    def type(self) -> Any:
        if self._type is None:
            self._type = type(self.name, (ctypes.Structure,), {"_fields_": self._members})
        return self._type


ERROR = Layout("inf_error", "code:i http_status:i detail:q message:c488")
CONTEXT_OPTIONS = Layout(
    "inf_context_options",
    "struct_size:z delivery:i preparation_threads:i log_level:i log:p log_user_data:p",
)
CALLBACKS = Layout(
    "inf_callbacks",
    "struct_size:z on_token:p on_progress:p on_done:p user_data:z queue:p only_done:b reserved:c7",
)
# kind, progress, op, user_data, then the chunk: text, reasoning, n_tokens, tool_calls
EVENT = Layout(
    "inf_event",
    "kind:i progress:f op:p user_data:z text:t reasoning:t n_tokens:q tool_calls:p n_tool_calls:z",
)
TOOL_CALL_DELTA = Layout("inf_tool_call_delta", "index:i reserved:i id:t name:t arguments:t")
PROVIDER_CONFIG = Layout(
    "inf_provider_config",
    "struct_size:z type:i base_url:s n_ctx:i n_gpu_layers:i n_threads:i max_sequences:i queue_limit:i"
    " prefill_chunk:i flash_attention:i adapter_execution:i kv_budget_bytes:Q max_adapters:Q"
    " max_adapter_bytes:Q adapter_overflow:i reserved:i api_key:s headers:s connect_timeout_ms:q"
    " silence_timeout_ms:q max_retries:i adapter_check:i max_connections:i reserved2:i device:s dtype:s",
)
PROVIDER_INFO = Layout(
    "inf_provider_info",
    "struct_size:z type:i in_process:b name:p url_variable:p default_url:p missing:p",
)
PROVIDER_STATS = Layout(
    "inf_provider_stats",
    "struct_size:z steps:q shared_steps:q rows:q requests:q prefix_tokens:q active:q queued:q adapters:q"
    " pins:q adapter_bytes:q kv_bytes:q model_loaded:b",
)
REQUEST_ADAPTER = Layout("inf_request_adapter", "id:t scale:mf")
REQUEST = Layout(
    "inf_request",
    "struct_size:z prompt:t messages:p n_messages:z messages_json:t template_variables:t model:t"
    " adapter_id:t adapters:p n_adapters:z system_prompt:t max_tokens:mi temperature:mf top_p:mf top_k:mi"
    " min_p:mf repetition_penalty:mf frequency_penalty:mf presence_penalty:mf seed:mQ adapter_scale:mf"
    " stop:p n_stop:z stop_token_ids:p n_stop_token_ids:z logprobs:mi json_schema:t grammar:t extra_json:t"
    " extra_headers:t timeout_ms:q queue_timeout_ms:q ignore_eos:b plain_prompt:b add_special:mb plain_output:b"
    " continue_final_message:b reserved:c2 tools:t tool_choice:t reference:t speculate:i reserved2:i",
)
ALTERNATIVE = Layout("inf_alternative", "token_id:i logprob:f piece:t")
LOGPROB = Layout("inf_logprob", "token_id:i logprob:f piece:t top:p n_top:z")
RESULT_ADAPTER = Layout("inf_result_adapter", "id:t generation:Q scale:f reserved:i")
RESULT = Layout(
    "inf_result",
    "struct_size:z text:t model:t adapter_id:t finish_reason:t reasoning:t tool_calls:t token_count:q"
    " prompt_tokens:q completion_tokens:q token_ids:p n_token_ids:z logprobs:p n_logprobs:z queued_us:q"
    " load_us:q prefill_us:q first_token_us:q decode_us:q total_us:q adapter_generation:Q adapters:p"
    " n_adapters:z prefix_tokens:q steps:q mean_rows:d mean_adapters:d finish:i row_independent:i"
    " drafted_tokens:q accepted_tokens:q",
)
ADAPTER_SOURCE = Layout("inf_adapter_source", "struct_size:z path:s config:t weights:t")
ADAPTER_REPORT = Layout(
    "inf_adapter_report",
    "struct_size:z generation:Q bytes:q format:i rank:i scale:f n_modules:i n_tensors:i replaced:i id:t"
    " evicted:t",
)
TEXT = Layout("inf_text", "data:t")
LOGITS_REQUEST = Layout(
    "inf_logits_request",
    "struct_size:z token_ids:p n_token_ids:z adapter_id:t adapters:p n_adapters:z adapter_scale:mf top:i"
    " reserved:i probe:p n_probe:z",
)
LOGITS_RESULT = Layout(
    "inf_logits_result",
    "struct_size:z top_ids:p top:p n_top:z probe:p n_probe:z all:p n_vocab:z",
)
LAYOUTS = tuple(value for value in list(globals().values()) if isinstance(value, Layout))

# INF_... of the header; tests/python compares them with inf_enum_value.
DELIVERY_QUEUE = 1
EVENT_TOKEN, EVENT_PROGRESS, EVENT_DONE = 1, 2, 3
LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR = 0, 1, 2, 3
PROVIDER_VLLM, PROVIDER_OLLAMA, PROVIDER_LLAMACPP, PROVIDER_TRANSFORMERS = 1, 2, 3, 4
WAIT_EXPIRED = -1

LOG_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p)

# Result type and arguments: v void, i int32, b bool, z size_t, p pointer (byref() and arrays pass),
# s const char *, T inf_text by value, q int64. Starts take (out, ..., callbacks, err).
# An "!" in front: the call is short and calls nothing back, so it is made with the GIL held: giving it
# up and taking it again would cost more than the call, and up to a switch interval beside busy threads.
# "wait=call": the function inf_call by another name, for who waits in it.
_FUNCTIONS = """
version_string !:s
error_name !i:s
struct_size !s:z
enum_value !sp:b
context_options_default !pz:v
context_create ppp:i
context_close pp:i
queue_create ppp:i
queue_next !ppzzpqp:i
queue_wait=queue_next ppzzpqp:i
queue_fd !p:i
queue_release p:v
callbacks_default !pz:v
op_wait pqp:i
op_cancel p:v
op_release !p:v
op_error !pp:i
op_error_body !p:R
op_result !ppz:i
op_adapter_report !ppz:i
op_tokens !ppp:i
op_text !pp:i
op_logits !ppz:i
provider_config_default !pz:v
provider_create pppp:i
provider_release p:v
provider_type_info !pzi:i
provider_get_stats ppzp:i
provider_load_start pppp:i
provider_unload_start pppp:i
request_default !pz:v
generate_start ppppp:i
adapter_source_default !pz:v
adapter_load_start ppsppp:i
adapter_unload_start ppspp:i
adapters ppp:i
adapter_list_count !p:z
adapter_list_id !pz:s
adapter_list_free !p:v
server_adapters_start pppp:i
tokenize_start ppTbpp:i
detokenize_start pppzbpp:i
render_start ppTbpp:i
logits_request_default !pz:v
logits_start ppppp:i
inspect_start ppsspp:i
"""


class Text(ctypes.Structure):
    """inf_text as an argument."""

    _fields_ = [("data", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class ReturnedText(ctypes.Structure):
    """inf_text as it comes back: a pointer, since it may hold NUL."""

    _fields_ = [("data", ctypes.c_void_p), ("len", ctypes.c_size_t)]


_TYPES: Dict[str, Any] = {
    "v": None,
    "i": ctypes.c_int32,
    "b": ctypes.c_bool,
    "z": ctypes.c_size_t,
    "p": ctypes.c_void_p,
    "s": ctypes.c_char_p,
    "q": ctypes.c_int64,
    "T": Text,
    "R": ReturnedText,
}


class Functions:
    """The functions, without their prefix: `functions.generate_start(...)`."""

    def __init__(self, path: str) -> None:
        free = ctypes.CDLL(path)
        held = getattr(ctypes, "PyDLL", ctypes.CDLL)(path)  # PyPy has none
        for line in _FUNCTIONS.split("\n"):
            if line:
                names, _, signature = line.partition(" ")
                arguments, _, result = signature.lstrip("!").partition(":")
                name, _, symbol = names.partition("=")
                function = getattr(held if signature[0] == "!" else free, "inf_" + (symbol or name))
                function.restype = _TYPES[result]
                function.argtypes = [_TYPES[code] for code in arguments]
                setattr(self, name, function)

    def __getattr__(self, name: str) -> Callable[..., Any]:  # for type checkers: all are set above
        raise AttributeError(name)
