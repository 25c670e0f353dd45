"""A plan: an operation of the C library that is not started, and its result read when it is done.

Owns: starting one in a blocking call, an ended operation's error, and putting a stream's pieces together. How it
is awaited is _operations.py's, how a stream is pulled blocking _pull.py's.
Refuses to know: asyncio. A program that only calls blocking never imports it.
"""

from __future__ import annotations

import ctypes
import threading
from typing import TYPE_CHECKING, Any, Callable, Coroutine, Dict, Generic, List, Optional, Tuple, TypeVar

from . import _abi, exceptions
from ._late import Late
from ._library import Library, library
from .provider import Chunk

if TYPE_CHECKING:
    from . import _operations
else:
    _operations = Late(globals(), "_operations")  # and asyncio, which a program that awaits has

T = TypeVar("T")
Start = Callable[..., int]
Read = Callable[[Library, int], T]

_SLICE_MS = 50  # how late Ctrl-C may come to a blocking call

_deltas_of = _abi.TOOL_CALL_DELTA.read.iter_unpack
_DELTA_SIZE = _abi.TOOL_CALL_DELTA.size
_string_at = ctypes.string_at
_byref = ctypes.byref


def slice_ms() -> int:
    """How long a wait in the library may last: Python's signal handlers run between two, on the main thread."""
    return _SLICE_MS if threading.current_thread() is threading.main_thread() else -1


def wait(lib: Library, op: int) -> None:
    """Until it is done. Ctrl-C ends the wait."""
    error, longest = _abi.ERROR.type(), slice_ms()
    while (
        lib.functions.op_wait(op, longest, _byref(error)) == exceptions.TIMEOUT
        and error.detail == _abi.WAIT_EXPIRED
    ):
        pass


def _failure(lib: Library, op: int, url: str) -> Optional[BaseException]:
    """The exception of a done operation; None when it succeeded."""
    error = _abi.ERROR.type()
    code = lib.functions.op_error(op, _byref(error))
    if not code:
        return None
    body = lib.functions.op_error_body(op)
    raw = _string_at(body.data, body.len) if body.data else b""
    message = error.message.decode("utf-8", "replace")
    return exceptions.make(code, message, error.http_status, error.detail, raw, url)


class Plan(Generic[T]):
    """An operation that is not started: start(out, *arguments, callbacks, err), and how to read its result.

    url: what its errors are about; keeps: a failed one has a result too, what there was so far.
    """

    __slots__ = ("arguments", "keeps", "read", "start", "url")

    def __init__(
        self, start: Start, arguments: Tuple[Any, ...], read: Read[T], url: str = "", keeps: bool = False
    ) -> None:
        self.start = start
        self.arguments = arguments
        self.read = read
        self.url = url
        self.keeps = keeps

    def outcome(self, lib: Library, op: int) -> T:
        """The result of the done operation; or raises its error, with what there was so far."""
        error = _failure(lib, op, self.url)
        if error is None:
            return self.read(lib, op)
        if self.keeps and isinstance(error, exceptions.InferenceError):
            partial: Any = self.read(lib, op)
            error.partial = partial if partial.text or partial.reasoning or partial.tool_calls else None
        raise error

    def call(self) -> Coroutine[Any, Any, T]:
        """Awaited: starts, waits, reads."""
        return _operations.call(self)

    def call_blocking(self) -> T:
        """The same for a thread that waits: no events, no loop. Ctrl-C cancels the operation."""
        lib = library()
        out, error = ctypes.c_void_p(), _abi.ERROR.type()
        lib.check(self.start(_byref(out), *self.arguments, None, _byref(error)), error)
        op = out.value or 0
        try:
            wait(lib, op)
            return self.outcome(lib, op)
        finally:
            lib.functions.op_cancel(op)
            lib.functions.op_release(op)


class Pieces:
    """What of a stream has come and was not taken yet: a slow consumer gets bigger pieces."""

    _text = ""
    _reasoning = ""
    _tokens = 0
    _calls: List[Dict[str, Any]]

    def _add(self, event: Tuple[Any, ...]) -> None:
        """What a token event carries."""
        _, _, _, _, text, text_len, reasoning, reasoning_len, tokens, calls, n_calls = event
        self._text += _string_at(text, text_len).decode("utf-8", "replace")
        if reasoning_len:
            self._reasoning += _string_at(reasoning, reasoning_len).decode("utf-8", "replace")
        if n_calls:
            self._add_calls(calls, n_calls)
        self._tokens = tokens

    def _add_calls(self, deltas: int, n: int) -> None:
        calls = self._calls
        for index, _, *texts in _deltas_of(_string_at(deltas, n * _DELTA_SIZE)):
            call_id, name, arguments = (
                _string_at(texts[i], texts[i + 1]).decode("utf-8", "replace") if texts[i + 1] else ""
                for i in (0, 2, 4)
            )
            call = next((call for call in calls if call["index"] == index), None)
            if call is None:
                call = {"index": index, "id": "", "type": "function", "function": {"name": "", "arguments": ""}}
                calls.append(call)
            call["id"] += call_id
            call["function"]["name"] += name
            call["function"]["arguments"] += arguments

    def _take(self) -> Optional[Chunk]:
        if not (self._text or self._reasoning or self._calls):
            return None
        chunk = Chunk(self._text, self._reasoning, self._tokens, self._calls)
        self._text = self._reasoning = ""
        self._calls = []
        return chunk

    def _state(self, result: Any, running: bool, closed: bool) -> str:
        """For a repr."""
        if result is not None:
            return "<Stream, ended: %r, %d tokens>" % (result.finish_reason, self._tokens)
        if running:
            return "<Stream, running: %d tokens so far>" % self._tokens
        return "<Stream, closed>" if closed else "<Stream, not started>"
