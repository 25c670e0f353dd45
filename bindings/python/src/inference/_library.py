"""The C library in this process: loaded, and its one context made, when first used.

Owns: the shared library, the context (threads, provider handles belong to it), the logger, what happens at
fork and at exit. Everything that holds a pointer of the library keeps the Library it came from, and asks
`current` before giving it back: after a fork the child has a Library of its own and touches nothing of its
parent's.
Threads: `_lock` guards making the Library. Any thread may call anything here.
"""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import threading
import weakref
from collections import deque
from typing import Any, Deque, Optional, Tuple

from . import _abi, exceptions

logger = logging.getLogger("inference")

_LEVELS = {
    _abi.LOG_DEBUG: logging.DEBUG,
    _abi.LOG_INFO: logging.INFO,
    _abi.LOG_WARNING: logging.WARNING,
    _abi.LOG_ERROR: logging.ERROR,
}
_NAMES = ("libinference.so", "libinference.dylib")


def _path() -> str:
    """INFERENCE_LIBRARY, or the library inside the package."""
    given = os.environ.get("INFERENCE_LIBRARY")
    if given:
        return given
    here = os.path.dirname(os.path.abspath(__file__))
    for name in _NAMES:
        path = os.path.join(here, name)
        if os.path.exists(path):
            return path
    raise ImportError(
        "the package has no libinference.so in %s: install it (pip install ./bindings/python), or set "
        "INFERENCE_LIBRARY to one" % here
    )


class _Here(threading.local):
    logging = False  # this thread is inside the log callback


_here = _Here()


def _log(_: Optional[int], level: int, line: bytes) -> None:
    """On any thread of the library, at any time but after the context was closed."""
    _here.logging = True
    try:
        logger.log(_LEVELS.get(level, logging.ERROR), "%s", line.decode("utf-8", "replace"))
    except Exception:  # a handler's fault has nowhere to go
        if logging.raiseExceptions:
            import traceback

            traceback.print_exc()
    finally:
        _here.logging = False


class Library:
    """One process's library, with its context."""

    def __init__(self) -> None:
        self.functions = functions = _abi.Functions(_path())
        for layout in _abi.LAYOUTS:
            size = functions.struct_size(layout.name.encode())
            if size != layout.size:
                raise ImportError(
                    "libinference %s is of another version than this package: its %s has %d bytes, not %d"
                    % (functions.version_string().decode(), layout.name, size, layout.size)
                )
        # What is given back while the interpreter takes itself apart finds no globals of this module.
        self._getpid, self._here = os.getpid, _here
        self.pid = os.getpid()
        self.closed = False
        self.later: Deque[Tuple[Any, int]] = deque()
        self.making = threading.Lock()  # held while a queue is made
        self.queues: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()  # _operations'
        self._log = _abi.LOG_FUNCTION(_log)  # must live as long as the context
        self.callbacks = self.default(_abi.CALLBACKS, functions.callbacks_default)
        self.requests = self.default(_abi.REQUEST, functions.request_default)
        self.context = self._make_context()

    def default(self, layout: _abi.Layout, fill: Any) -> bytes:
        """A struct with its defaults, as bytes to start from."""
        value = layout.type()
        fill(ctypes.byref(value), layout.size)
        return bytes(value)

    def _make_context(self) -> int:
        options = _abi.CONTEXT_OPTIONS.type()
        self.functions.context_options_default(ctypes.byref(options), _abi.CONTEXT_OPTIONS.size)
        options.delivery = _abi.DELIVERY_QUEUE  # nothing is called back; each loop has a queue of its own
        # llama.cpp says hundreds of lines at DEBUG: they are asked for only where they go somewhere.
        debug = logger.isEnabledFor(logging.DEBUG)
        options.log_level = _abi.LOG_DEBUG if debug else _abi.LOG_INFO
        options.log = ctypes.cast(self._log, ctypes.c_void_p)
        out, error = ctypes.c_void_p(), _abi.ERROR.type()
        self.check(
            self.functions.context_create(ctypes.byref(out), ctypes.byref(options), ctypes.byref(error)), error
        )
        return out.value or 0

    @property
    def current(self) -> bool:
        """Whether pointers of this library may be given back to it: not in a forked child."""
        return bool(self.pid == self._getpid())

    def check(self, code: int, error: Any = None) -> None:
        """Raises what an error code of a plain call means."""
        if code:
            message = error.message.decode("utf-8", "replace") if error is not None else ""
            status = error.http_status if error is not None else 0
            detail = error.detail if error is not None else 0
            raise exceptions.make(code, message or self.functions.error_name(code).decode(), status, detail)

    def give_back(self, function: Any, pointer: int) -> None:
        """function(pointer), unless this is a forked child, whose parent owns it. The collector may find
        something to give back in the middle of the log callback, which must not call the library: then
        it waits for the next operation."""
        if not self.current:
            return
        if self._here.logging:
            self.later.append((function, pointer))
            return
        function(pointer)

    def settle(self) -> None:
        """Gives back what had to wait."""
        while self.later:
            try:
                function, pointer = self.later.popleft()
            except IndexError:  # another thread took it
                return
            self.give_back(function, pointer)

    def close(self) -> None:
        """Cancels everything, waits for the library's threads to end."""
        if not self.closed and self.current:
            self.closed = True
            self.functions.context_close(self.context, None)


_library: Optional[Library] = None
_lock = threading.Lock()


def library() -> Library:
    """The Library of this process."""
    global _library
    made = _library
    if made is not None:
        return made
    with _lock:
        if _library is None:
            _library = Library()
        return _library


def _after_fork() -> None:
    global _library, _lock
    _library, _lock = None, threading.Lock()


def _end_daemons_quietly() -> None:
    """A daemon thread whose call ends because the interpreter does would say so on stderr."""
    say = threading.excepthook

    def excepthook(what: Any) -> None:
        late = what.exc_type.__name__ == "CancelledError" or issubclass(what.exc_type, exceptions.StateError)
        if not (late and what.thread is not None and what.thread.daemon):
            say(what)

    threading.excepthook = excepthook


def _at_exit() -> None:
    if _library is not None:
        _end_daemons_quietly()
        _library.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
# Before the interpreter takes itself apart: from here on no thread of the library calls into Python.
atexit.register(_at_exit)
