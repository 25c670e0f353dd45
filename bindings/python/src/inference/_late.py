"""Modules of this package that are imported when something of them is first used, and fork, which waits for imports.

A forked child has one thread. What another one was importing is half made in it, locked by a thread that is not
there: who imports it waits for ever. So this package is imported with `importing` held, and fork takes it too.
"""

from __future__ import annotations

import importlib
import logging  # noqa: F401  # has a part in fork itself, which it must have before fork can wait here
import os
import threading
from typing import Any, Dict

_PATIENCE = 5  # seconds that fork waits: far longer than an import takes

importing = threading.RLock()
_here = threading.local()


class Late:
    """Stands for a module, in the globals that it is given, until something of it is asked for."""

    def __init__(self, into: Dict[str, Any], name: str) -> None:
        self._into, self._name = into, name

    def __getattr__(self, name: str) -> Any:
        with importing:
            module = importlib.import_module("." + self._name, __package__)
        self._into[self._name] = module
        return getattr(module, name)


def _before_fork() -> None:
    _here.lock = importing if importing.acquire(timeout=_PATIENCE) else None


def _after_in_parent() -> None:
    if _here.lock is not None:
        _here.lock.release()


def _after_in_child() -> None:
    global importing
    importing = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
