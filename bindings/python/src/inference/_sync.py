"""The synchronous face: a provider's methods, blocking.

For the C library's own providers a call waits in the library, so that many threads may call at once without
an event loop. What has no blocking form there (streams, and providers written in Python) runs on one loop in
a thread of its own, started when first needed, which is why it works inside a running loop too.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import threading
from typing import TYPE_CHECKING, Any, Coroutine, Dict, Iterable, Iterator, List, Optional, TypeVar

from . import _native, _plans
from ._native import NativeProvider
from ._types import AdapterReport, Adapters, Config, GenerateOptions, Logits, Messages, ProviderStats, Source
from .exceptions import NotFoundError, StateError
from .provider import Chunk, DetailedResult, GenerationResult, InferenceProvider, TextStream

if TYPE_CHECKING:
    from typing_extensions import Unpack
else:
    Unpack = _native.Unpack

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


class SyncStream:
    """An iterator of chunks, and the result when they have ended. Leaving a `with` block cancels."""

    def __init__(self, stream: TextStream[Any]) -> None:
        self._stream = stream

    def __repr__(self) -> str:
        return "<SyncStream of %r>" % self._stream

    @property
    def result(self) -> Any:
        return self._stream.result

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        try:
            return run(self._next())
        except StopAsyncIteration:
            raise StopIteration from None

    async def _next(self) -> Chunk:
        return await self._stream.__anext__()

    def close(self) -> None:
        run(self._stream.aclose())

    def __enter__(self) -> SyncStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def text(self) -> str:
        """The rest of the text, in one piece."""
        return "".join([chunk.text for chunk in self])


class SyncProvider:
    """Blocking methods of any InferenceProvider."""

    def __init__(self, provider: InferenceProvider) -> None:
        self._provider = provider

    def __repr__(self) -> str:
        return "%r.sync" % (self._provider,)

    def generate(self, prompt: str, model: str, *args: Any, **kwargs: Any) -> GenerationResult:
        return run(self._provider.generate(prompt, model, *args, **kwargs))

    def stream(self, prompt: str, model: str, *args: Any, **kwargs: Any) -> SyncStream:
        return SyncStream(self._provider.stream(prompt, model, *args, **kwargs))

    def load_adapter(
        self, adapter_id: str, adapter_path: Any, *args: Any, **kwargs: Any
    ) -> Optional[AdapterReport]:
        return run(self._provider.load_adapter(adapter_id, adapter_path, *args, **kwargs))

    def unload_adapter(self, adapter_id: str) -> None:
        run(self._provider.unload_adapter(adapter_id))

    def list_adapters(self) -> List[str]:
        return run(self._provider.list_adapters())


class NativeSyncProvider(SyncProvider):
    """Blocking methods of the C library's providers; the arguments are those of the asynchronous ones."""

    def __init__(self, provider: NativeProvider) -> None:
        super().__init__(provider)
        self._native = provider

    def _is_ours(self, method: str) -> bool:
        """Whether it is this package's, and not of a subclass written in Python, or put there by a test. What
        wraps a method may have its name and module, but runs in globals of its own."""
        return getattr(getattr(self._native, method), "__globals__", None) is vars(_native)

    def generate(
        self,
        prompt: str,
        model: str,
        adapter_id: str | None = None,
        max_tokens: int = 4096,
        system_prompt: str | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        repetition_penalty: float | None = None,
        **options: Unpack[GenerateOptions],
    ) -> DetailedResult:
        given = _plans.options_of(locals())
        if not self._is_ours("generate"):
            return run(self._native.generate(prompt, model, max_tokens=max_tokens, **given))
        result: DetailedResult = _plans.generate(self._native, prompt, model, max_tokens, given).call_blocking()
        return result

    def load_adapter(
        self,
        adapter_id: str,
        adapter_path: Source,
        *,
        config: Optional[Config] = None,
    ) -> AdapterReport:
        if self._is_ours("load_adapter"):
            return _plans.load(self._native, adapter_id, adapter_path, config).call_blocking()
        return run(self._native.load_adapter(adapter_id, adapter_path, config=config))

    def unload_adapter(self, adapter_id: str) -> None:
        if not self._is_ours("unload_adapter"):
            return run(self._native.unload_adapter(adapter_id))
        try:
            _plans.unload(self._native, adapter_id).call_blocking()
        except NotFoundError as error:
            self._native._unload_unknown(error)

    def tokenize(self, text: str, *, add_special: bool = True) -> List[int]:
        if not self._is_ours("tokenize"):
            return run(self._native.tokenize(text, add_special=add_special))
        return _plans.tokenize(self._native, text, add_special).call_blocking()

    def detokenize(self, ids: Iterable[int], *, skip_special: bool = False) -> str:
        if not self._is_ours("detokenize"):
            return run(self._native.detokenize(ids, skip_special=skip_special))
        return _plans.detokenize(self._native, ids, skip_special).call_blocking()

    def render(
        self, messages: Messages, *, add_generation_prompt: bool = True, **variables: Any
    ) -> str:
        if not self._is_ours("render"):
            return run(self._native.render(messages, add_generation_prompt=add_generation_prompt, **variables))
        return _plans.render(self._native, messages, add_generation_prompt, variables).call_blocking()

    def inspect(self, path: Any = None, *, base: Any = None) -> Dict[str, Any]:
        if not self._is_ours("inspect"):
            return run(self._native.inspect(path, base=base))
        return _plans.inspect_from(self._native, path, base).call_blocking()

    def logits(
        self,
        ids: Iterable[int],
        *,
        top: int = 10,
        probe: Iterable[int] = (),
        adapter_id: Optional[str] = None,
        adapter_scale: Optional[float] = None,
        adapters: Optional[Adapters] = None,
    ) -> Logits:
        given = _plans.options_of(locals())
        if not self._is_ours("logits"):
            return run(self._native.logits(ids, top=top, probe=probe, **given))
        return _plans.logits(self._native, ids, top, probe, given).call_blocking()

    def load(self) -> None:
        if not self._is_ours("load"):
            return run(self._native.load())
        _plans.model(self._native, True).call_blocking()

    def unload(self) -> None:
        if not self._is_ours("unload"):
            return run(self._native.unload())
        _plans.model(self._native, False).call_blocking()

    def stats(self) -> ProviderStats:
        return self._native.stats()
