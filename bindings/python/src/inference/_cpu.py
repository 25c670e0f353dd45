"""Whether this CPU runs the machine code of the library: asked before it is loaded, since its first
instruction beyond the CPU would end the process.

Refuses to know: what the library is. The features are those of the build (_baseline.py, written by CMake;
a source tree has none and is for the machine that built it).
"""

from __future__ import annotations

from typing import Iterable, List, Tuple


def required() -> Tuple[str, ...]:
    try:
        from ._baseline import CPU_FEATURES  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return ()
    return tuple(CPU_FEATURES)


def missing(features: Iterable[str], path: str = "/proc/cpuinfo") -> List[str]:
    """Those that the first CPU lacks; none where the system does not tell."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            for line in f:
                name, _, value = line.partition(":")
                if name.strip() in ("flags", "Features"):
                    has = set(value.split())
                    return [feature for feature in features if feature not in has]
    except OSError:
        pass
    return []


def check() -> None:
    lacking = missing(required())
    if lacking:
        raise ImportError(
            "this build of inference needs a CPU with %s (x86-64-v3); this one lacks them. Build it here for "
            "this CPU: pip install -C cmake.define.PORTABLE=OFF ./bindings/python" % ", ".join(lacking)
        )
