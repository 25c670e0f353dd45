"""Operations of the C library, awaited: from a start to its result, in asyncio.

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
from typing import Any, Callable, Dict, Optional, TypeVar

from . import _abi, exceptions
from ._library import Library, library
from ._plan import Pieces, Plan
from .provider import Chunk, GenerationResult, TextStream

T = TypeVar("T")

BATCH = 256  # events a pull; the loop runs its other callbacks between two pulls

_events_of = _abi.EVENT.read.iter_unpack
_SIZE = _abi.EVENT.size
_asyncio = vars(asyncio)
_TOKEN, _DONE = _abi.EVENT_TOKEN, _abi.EVENT_DONE
_byref = ctypes.byref


class Waiter(asyncio.Future[None]):
    """A future whose one awaiting task is resumed by `resume`, from the callback that brought the news, instead
    of through the loop's next turn: a wake then costs one turn. For everything else it is any future."""

    _then: Any = None

    def add_done_callback(self, fn: Any, *, context: Any = None) -> None:
        if self._then is None and not self.done():
            self._then = fn, contextvars.copy_context() if context is None else context
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
        self.address = ctypes.addressof(self.buffer)
        self.count = ctypes.c_size_t()
        self.count_at = ctypes.addressof(self.count)
        self.pointer = 0
        out, error = ctypes.c_void_p(), _abi.ERROR.type()
        lib.check(lib.functions.queue_create(_byref(out), lib.context, _byref(error)), error)
        self.pointer = out.value or 0
        self.next = lib.functions.queue_next

    def readable(self) -> None:
        """One batch."""
        code = self.next(self.pointer, self.address, _SIZE, BATCH, self.count_at, 0, None)
        n = self.count.value
        if code or not n:
            if code:  # the library was closed, or this is a forked child
                self.over()
            return
        pending, ready = self.pending, []
        for event in _events_of(self.view[: n * _SIZE]):
            kind, user = event[0], event[3]
            operation = pending.get(user)
            if operation is None:
                continue
            if kind == _TOKEN:
                stream = operation.waits()
                if stream is not None:
                    stream._add(event)
                    waiter = stream._waiter
                    if waiter is not None and not waiter.done():
                        waiter.set_result(None)
                        ready.append(waiter)
            elif kind == _DONE:
                del pending[user]
                operation.done()
        # Now that everything has been read: these may do anything.
        if _asyncio.get("_nest_patched"):  # nest_asyncio: they may run the loop, which could not
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


async def call(plan: Plan[T]) -> T:
    """Starts, waits, reads. Cancelling the task cancels the operation at once."""
    loop = asyncio.get_running_loop()
    lib = library()
    future = loop.create_future()
    operation = Operation(lib, future)
    operation.start(_queue_of(lib, loop), True, plan)
    try:
        await future
        return plan.outcome(lib, operation.pointer)
    finally:
        operation.release()


class Stream(TextStream[GenerationResult], Pieces):
    """The chunks of one generate operation. It starts with the first one that is asked for."""

    def __init__(self, prepare: Callable[[], Plan[Any]]) -> None:
        self._prepare: Optional[Callable[[], Plan[Any]]] = prepare
        self._plan: Optional[Plan[Any]] = None
        self._operation: Optional[Operation] = None
        self._waiter: Any = None
        self._loop: Any = None
        self._result: Optional[GenerationResult] = None
        self._ended = False
        self._calls = []

    def __repr__(self) -> str:
        return self._state(self._result, self._operation is not None, self._prepare is None)

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
            if asyncio.get_running_loop() is not self._loop:
                raise exceptions.StateError("the stream belongs to the event loop that asked for its first chunk")
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
        return self._take() or self._finish(self._operation)

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
