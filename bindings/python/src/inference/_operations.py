"""Operations of the C library, awaited: from a start to its result, in asyncio or in a blocking call.

Owns: for each event loop a completion queue of the library, watched with one add_reader on its descriptor.
No thread, no polling: the library writes to the descriptor when an event comes into an empty queue that
nobody is pulling from, and again when a pull leaves some, so nothing is lost between looking and sleeping.

An operation is known to its queue by the id() of its Operation, which `pending` keeps alive until its DONE
event has come, after a cancel too. It keeps only weak references to who waits: a task or a stream that is
forgotten is collected, which cancels its operation. Results are read by who waits, not here.

Threads: everything of a queue, and of an Operation, happens on its loop's thread.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import threading
import weakref
from typing import Any, Callable, Dict, Generic, List, Optional, Tuple, TypeVar

from . import _abi, exceptions
from ._library import Library, library
from .provider import Chunk, GenerationResult, TextStream

T = TypeVar("T")
Start = Callable[..., int]
Read = Callable[[Library, int], T]

BATCH = 256  # events a pull; the loop runs its other callbacks between two pulls
_SLICE_MS = 50  # how late Ctrl-C may come to a blocking call

_events_of = _abi.EVENT.read.iter_unpack
_SIZE = _abi.EVENT.size
_TOKEN, _DONE = _abi.EVENT_TOKEN, _abi.EVENT_DONE
_deltas_of = _abi.TOOL_CALL_DELTA.read.iter_unpack
_DELTA_SIZE = _abi.TOOL_CALL_DELTA.size
_string_at = ctypes.string_at
_byref = ctypes.byref


class Waiter(asyncio.Future[None]):
    """A future whose one awaiting task is resumed by `resume`, from the callback that brought the news, instead
    of through the loop's next turn: a wake then costs one turn. For everything else it is any future."""

    _then: Any = None

    def add_done_callback(self, fn: Any, *, context: Any = None) -> None:
        if self._then is None and not self.done():
            self._then = fn, context or contextvars.copy_context()
        else:
            super().add_done_callback(fn, context=context)

    def remove_done_callback(self, fn: Any) -> int:
        if self._then is not None and self._then[0] == fn:
            self._then = None
            return 1
        return super().remove_done_callback(fn)

    def cancel(self, msg: Any = None) -> bool:
        if self.done():
            return False
        super().cancel(msg)
        self.later()
        return True

    def resume(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            then[1].run(then[0], self)

    def later(self) -> None:
        self.get_loop().call_soon(self.resume)


class Queue:
    """The completion queue of one loop. It keeps no reference to the loop."""

    def __init__(self, lib: Library) -> None:
        self.library = lib
        self.pending: Dict[int, Operation] = {}
        self.buffer = ctypes.create_string_buffer(BATCH * _SIZE)
        self.view = memoryview(self.buffer).cast("B")
        self.count = ctypes.c_size_t()
        self.pointer = 0
        out, error = ctypes.c_void_p(), _abi.ERROR.type()
        lib.check(lib.functions.queue_create(_byref(out), lib.context, _byref(error)), error)
        self.pointer = out.value or 0
        self.next = lib.functions.queue_next

    def readable(self) -> None:
        """One batch."""
        code = self.next(self.pointer, self.buffer, _SIZE, BATCH, _byref(self.count), 0, None)
        n = self.count.value
        if code or not n:
            if code:  # the library was closed, or this is a forked child
                self.over()
            return
        pending, ready = self.pending, []
        for kind, _, _, user, text, text_len, reasoning, reasoning_len, tokens, calls, n_calls in _events_of(
            self.view[: n * _SIZE]
        ):
            operation = pending.get(user)
            if operation is None:
                continue
            if kind == _TOKEN:
                stream = operation.waits()
                if stream is not None:
                    stream._text += _string_at(text, text_len).decode("utf-8", "replace")
                    if reasoning_len:
                        stream._reasoning += _string_at(reasoning, reasoning_len).decode("utf-8", "replace")
                    if n_calls:
                        stream._add_calls(calls, n_calls)
                    stream._tokens = tokens
                    waiter = stream._waiter
                    if waiter is not None and not waiter.done():
                        waiter.set_result(None)
                        ready.append(waiter)
            elif kind == _DONE:
                del pending[user]
                operation.done()
        # Now that everything has been read: these may do anything.
        if getattr(asyncio, "_nest_patched", False):  # nest_asyncio: they may run the loop, which could not
            for waiter in ready:  # enter this callback's context again
                waiter.later()
            return
        while ready:
            try:
                ready.pop(0).resume()
            except BaseException:  # KeyboardInterrupt, SystemExit: the loop ends, or goes on
                for waiter in ready:
                    waiter.later()
                raise

    def over(self) -> None:
        asyncio.get_running_loop().remove_reader(self.library.functions.queue_fd(self.pointer))
        pending, self.pending = self.pending, {}
        for operation in pending.values():
            operation.done()

    def release(self) -> None:
        pointer, self.pointer = self.pointer, 0
        if pointer:
            self.library.give_back(self.library.functions.queue_release, pointer)

    def __del__(self) -> None:
        self.release()


def _queue_of(lib: Library, loop: Any) -> Queue:
    queue: Optional[Queue] = lib.queues.get(loop)
    if queue is None:
        with lib.making:  # another loop's thread may be at it too
            for other in list(lib.queues):
                if other.is_closed():
                    lib.queues.pop(other).release()
            queue = Queue(lib)
        _watch(loop, lib.functions.queue_fd(queue.pointer), queue.readable)
        with lib.making:
            lib.queues[loop] = queue  # only now: a queue that nobody watches would be waited for in vain
    return queue


def _watch(loop: Any, descriptor: int, readable: Callable[[], None]) -> None:
    try:
        loop.add_reader(descriptor, readable)
    except NotImplementedError:
        raise exceptions.UnsupportedOperationError(
            "%s has no add_reader, by which completions come; use a selector loop, or provider.sync"
            % type(loop).__name__
        ) from None


class Operation:
    """One started operation, and the weak reference to who waits for it: a future, or a Stream."""

    __slots__ = ("finished", "library", "pointer", "waits")

    def __init__(self, lib: Library, waits: Any) -> None:
        self.library = lib
        self.pointer = 0
        self.finished = False
        self.waits = weakref.ref(waits)

    def start(self, queue: Queue, only_done: bool, plan: Plan[Any]) -> None:
        """The library copies what it is given."""
        lib = self.library
        if lib.later:
            lib.settle()
        callbacks = _abi.CALLBACKS.type.from_buffer_copy(lib.callbacks)
        callbacks.user_data = id(self)
        callbacks.queue = queue.pointer
        callbacks.only_done = only_done
        out, error = ctypes.c_void_p(), _abi.ERROR.type()
        queue.pending[id(self)] = self
        code = plan.start(_byref(out), *plan.arguments, _byref(callbacks), _byref(error))
        if code:
            del queue.pending[id(self)]
            lib.check(code, error)
        self.pointer = out.value or 0

    def done(self) -> None:
        self.finished = True
        waits = self.waits()
        if waits is None:
            return
        if isinstance(waits, Stream):
            waits._end()
        elif not waits.done():
            waits.set_result(None)

    def release(self) -> None:
        """Gives the operation back; one still in flight is cancelled at once."""
        pointer, self.pointer = self.pointer, 0
        if pointer:
            lib = self.library
            if not self.finished:
                lib.give_back(lib.functions.op_cancel, pointer)
            lib.give_back(lib.functions.op_release, pointer)

    def __del__(self) -> None:
        self.release()


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

    async def call(self) -> T:
        """Starts, waits, reads. Cancelling the task cancels the operation at once."""
        loop = asyncio.get_running_loop()
        lib = library()
        future = loop.create_future()
        operation = Operation(lib, future)
        operation.start(_queue_of(lib, loop), True, self)
        try:
            await future
            return self.outcome(lib, operation.pointer)
        finally:
            operation.release()

    def call_blocking(self) -> T:
        """The same for a thread that waits: no events, no loop. Ctrl-C cancels the operation."""
        lib = library()
        functions = lib.functions
        out, error = ctypes.c_void_p(), _abi.ERROR.type()
        lib.check(self.start(_byref(out), *self.arguments, None, _byref(error)), error)
        op = out.value or 0
        try:
            # Python's signal handlers run between two calls, on the main thread.
            slice_ms = _SLICE_MS if threading.current_thread() is threading.main_thread() else -1
            while (
                functions.op_wait(op, slice_ms, _byref(error)) == exceptions.TIMEOUT
                and error.detail == _abi.WAIT_EXPIRED
            ):
                pass
            return self.outcome(lib, op)
        finally:
            functions.op_cancel(op)
            functions.op_release(op)


class Stream(TextStream[GenerationResult]):
    """The chunks of one generate operation. It starts with the first one that is asked for."""

    def __init__(self, prepare: Callable[[], Plan[Any]]) -> None:
        self._prepare: Optional[Callable[[], Plan[Any]]] = prepare
        self._plan: Optional[Plan[Any]] = None
        self._operation: Optional[Operation] = None
        self._waiter: Any = None
        self._loop: Any = None
        self._result: Optional[GenerationResult] = None
        self._ended = False
        self._text = ""
        self._reasoning = ""
        self._calls: List[Dict[str, Any]] = []
        self._tokens = 0

    def __repr__(self) -> str:
        if self._result is not None:
            return "<Stream, ended: %r, %d tokens>" % (self._result.finish_reason, self._tokens)
        if self._operation is not None:
            return "<Stream, running: %d tokens so far>" % self._tokens
        return "<Stream, not started>" if self._prepare is not None else "<Stream, closed>"

    @property
    def result(self) -> Any:
        return self._result

    def _begin(self, prepare: Callable[[], Plan[Any]]) -> Operation:
        loop = asyncio.get_running_loop()
        lib = library()
        self._plan = plan = prepare()
        self._loop = loop
        operation = Operation(lib, self)
        operation.start(_queue_of(lib, loop), False, plan)
        return operation

    # ---- from the queue, which also puts the pieces together: a slow consumer gets bigger ones

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

    def _end(self) -> None:
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
            waiter.later()

    # ---- to the consumer

    async def __anext__(self) -> Chunk:
        if self._waiter is not None:
            raise exceptions.StateError("another task waits for the next chunk; a stream has one consumer at a time")
        prepare, self._prepare = self._prepare, None
        if prepare is not None:
            self._operation = self._begin(prepare)
        if self._operation is None:
            raise StopAsyncIteration
        while not (self._text or self._reasoning or self._calls or self._ended):
            self._waiter = waiter = Waiter(loop=self._loop)
            try:
                await waiter
            except BaseException:  # who waited was cancelled
                self._leave()
                raise
            finally:
                self._waiter = None
            if self._operation is None:  # closed meanwhile
                raise StopAsyncIteration
        if self._text or self._reasoning or self._calls:
            chunk = Chunk(self._text, self._reasoning, self._tokens, self._calls)
            self._text = self._reasoning = ""
            self._calls = []
            return chunk
        return self._finish(self._operation)

    def _finish(self, operation: Operation) -> Chunk:
        try:
            assert self._plan is not None  # it has begun
            self._result = self._plan.outcome(operation.library, operation.pointer)
        finally:
            self._leave()
        raise StopAsyncIteration

    def _leave(self) -> None:
        operation, self._operation = self._operation, None
        self._prepare = None
        if operation is not None:
            operation.release()

    async def aclose(self) -> None:
        self._leave()
        self._wake()

    def __del__(self) -> None:
        self._leave()
