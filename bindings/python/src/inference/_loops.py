"""Coroutines run from blocking calls: on one loop in a thread of its own, started when first needed, which is why
it works inside a running loop too.

Owns: those loops and their threads. Only providers written in Python need them, and methods that a program has put
in the place of this package's: what the C library does is waited for there.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import threading
from typing import Any, Coroutine, List, TypeVar

from .exceptions import StateError

T = TypeVar("T")

_lock = threading.Lock()
# The first is everybody's; the next is for calls made on the first one's thread, which they block; and so on.
_loops: List[asyncio.AbstractEventLoop] = []
_exiting = False


def _background() -> asyncio.AbstractEventLoop:
    here = asyncio._get_running_loop()
    with _lock:
        if _exiting:
            raise StateError("the interpreter is exiting")
        depth = _loops.index(here) + 1 if here in _loops else 0
        if depth == len(_loops):
            _loops.append(asyncio.new_event_loop())
            threading.Thread(target=_loops[depth].run_forever, name="inference-sync", daemon=True).start()
        return _loops[depth]


def _after_fork() -> None:
    global _lock, _loops
    _lock, _loops = threading.Lock(), []


def _at_exit() -> None:
    global _exiting
    with _lock:
        _exiting = True
    for loop in _loops:
        loop.call_soon_threadsafe(loop.stop)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on the background loop and waits for it. Ctrl-C cancels it."""
    try:
        loop = _background()
    except StateError:
        work.close()  # which would warn that it was never awaited
        raise
    future = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        return future.result()
    except concurrent.futures.CancelledError:
        raise asyncio.CancelledError from None
    finally:
        future.cancel()
