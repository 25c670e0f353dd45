"""Blocking streams: what `provider.sync.stream()` returns, and the one over an operation of the C library.

Owns: for each such stream a completion queue of the library, pulled by the thread that asks for the next chunk.
Refuses to know: event loops, and asyncio.
Threads: any thread may ask for a chunk, one at a time, and any may close meanwhile: who waits then leaves, and gives
back what the stream held. `_guard` guards who that is; it is never held while something is waited for.
"""

from __future__ import annotations

import ctypes
import threading
from abc import ABC, abstractmethod
from typing import Any, Callable, Iterator, Optional

from . import _abi, exceptions
from ._library import Library, library
from ._plan import Pieces, Plan, slice_ms, wait
from .provider import Chunk, GenerationResult

_events_of = _abi.EVENT.read.iter_unpack
_SIZE = _abi.EVENT.size
_BATCH = 4  # events a pull: of one operation there are three at most
_byref = ctypes.byref


class SyncStream(ABC):
    """An iterator of chunks, and the result when they have ended. Leaving a `with` block cancels."""

    @property
    @abstractmethod
    def result(self) -> Any:
        """The result once the last chunk has come; None before."""

    @abstractmethod
    def __next__(self) -> Chunk: ...

    @abstractmethod
    def close(self) -> None:
        """Ends the generation, if it has not ended by itself."""

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __enter__(self) -> SyncStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def text(self) -> str:
        """The rest of the text, in one piece."""
        return "".join([chunk.text for chunk in self])


class PulledStream(SyncStream, Pieces):
    """The chunks of one generate operation. It starts with the first one that is asked for."""

    def __init__(self, prepare: Callable[[], Plan[Any]]) -> None:
        self._op, self._queue = ctypes.c_void_p(), ctypes.c_void_p()
        self._events, self._count = ctypes.create_string_buffer(_BATCH * _SIZE), ctypes.c_size_t()
        self._library: Any = None
        self._guard = threading.RLock()  # a signal's handler may close
        self._prepare: Optional[Callable[[], Plan[Any]]] = prepare
        self._plan: Optional[Plan[Any]] = None
        self._pulling = False  # a thread asks for a chunk
        self._ended = False  # the operation is done
        self._left = False  # there is no more to come to the consumer
        self._result: Optional[GenerationResult] = None
        self._calls = []

    def __repr__(self) -> str:
        return "<SyncStream of %s>" % self._state(self._result, bool(self._op), self._prepare is None)

    @property
    def result(self) -> Any:
        return self._result

    def __next__(self) -> Chunk:
        with self._guard:
            if self._pulling:
                raise exceptions.StateError(
                    "another thread waits for the next chunk; a stream has one consumer at a time"
                )
            self._pulling = True
        try:
            chunk = self._pull()
        except BaseException:  # it failed; Ctrl-C
            self._left = True
            raise
        finally:
            with self._guard:
                self._pulling = False
                if self._left:
                    self._give_back()
        if chunk is None:
            raise StopIteration
        return chunk

    def _pull(self) -> Optional[Chunk]:
        prepare, self._prepare = self._prepare, None
        if prepare is not None:
            self._begin(prepare)
        lib, plan = self._library, self._plan
        while not self._left:
            chunk = self._take()
            if chunk is not None:
                return chunk
            if not lib.current:
                raise exceptions.StateError("a forked child has no part in its parent's stream")
            if self._ended:
                self._left = True
                assert plan is not None  # it has begun
                self._result = plan.outcome(lib, self._op.value or 0)
            else:
                self._wait(lib)
        return None

    def _begin(self, prepare: Callable[[], Plan[Any]]) -> None:
        self._library = lib = library()
        if lib.later:
            lib.settle()
        self._plan = plan = prepare()
        error = _abi.ERROR.type()
        lib.check(lib.functions.queue_create(_byref(self._queue), lib.context, _byref(error)), error)
        callbacks = _abi.CALLBACKS.type.from_buffer_copy(lib.callbacks)
        callbacks.queue = self._queue.value
        lib.check(plan.start(_byref(self._op), *plan.arguments, _byref(callbacks), _byref(error)), error)

    def _wait(self, lib: Library) -> None:
        """One pull: what came, or nothing where it is time for signal handlers."""
        code = lib.functions.queue_wait(
            self._queue, self._events, _SIZE, _BATCH, _byref(self._count), slice_ms(), None
        )
        if code:  # the library was closed, which ends every operation
            wait(lib, self._op.value or 0)
            self._ended = True
        for event in _events_of(self._events.raw[: self._count.value * _SIZE]):
            if event[0] == _abi.EVENT_TOKEN:
                self._add(event)
            elif event[0] == _abi.EVENT_DONE:
                self._ended = True

    def close(self) -> None:
        with self._guard:
            self._left, self._prepare = True, None
            if not self._pulling:
                self._give_back()
            elif self._op:
                self._library.give_back(self._library.functions.op_cancel, self._op.value)

    def _give_back(self) -> None:
        """One still in flight is cancelled."""
        op, self._op.value = self._op.value, None
        queue, self._queue.value = self._queue.value, None
        lib = self._library
        if op:
            lib.give_back(lib.functions.op_cancel, op)
            lib.give_back(lib.functions.op_release, op)
        if queue:
            lib.give_back(lib.functions.queue_release, queue)

    def __del__(self) -> None:
        self._give_back()
