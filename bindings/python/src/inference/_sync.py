"""The synchronous face: a provider's methods, blocking.

For the C library's own providers a call waits in the library, so that many threads may call at once, without an
event loop and without asyncio being imported. What has no blocking form there, providers written in Python, runs on
a loop in a thread of its own (_loops.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Coroutine, Dict, Iterable, List, Optional, TypeVar

from . import _native, _plans, vllm_provider
from ._late import Late
from ._native import NativeProvider
from ._pull import PulledStream, SyncStream
from ._types import AdapterReport, Adapters, Config, GenerateOptions, Logits, Messages, ProviderStats, Source
from .exceptions import NotFoundError
from .provider import Chunk, DetailedResult, GenerationResult, InferenceProvider, TextStream

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from . import _loops
else:
    _loops = Late(globals(), "_loops")  # and asyncio
    Unpack = _native.Unpack

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine and waits for it, whether a loop runs here or not."""
    return _loops.run(work)


class LoopStream(SyncStream):
    """A stream of a provider written in Python."""

    def __init__(self, stream: TextStream[Any]) -> None:
        self._stream = stream

    def __repr__(self) -> str:
        return "<SyncStream of %r>" % self._stream

    @property
    def result(self) -> Any:
        return self._stream.result

    def __next__(self) -> Chunk:
        try:
            return run(self._next())
        except StopAsyncIteration:
            raise StopIteration from None

    async def _next(self) -> Chunk:
        return await self._stream.__anext__()

    def close(self) -> None:
        run(self._stream.aclose())


class SyncProvider:
    """Blocking methods of any InferenceProvider."""

    def __init__(self, provider: InferenceProvider) -> None:
        self._provider = provider

    def __repr__(self) -> str:
        return "%r.sync" % (self._provider,)

    def generate(self, prompt: str, model: str, *args: Any, **kwargs: Any) -> GenerationResult:
        return run(self._provider.generate(prompt, model, *args, **kwargs))

    def stream(self, prompt: str, model: str, *args: Any, **kwargs: Any) -> SyncStream:
        return LoopStream(self._provider.stream(prompt, model, *args, **kwargs))

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

    def _is_ours(self, method: str, module: Any = _native) -> bool:
        """Whether it is this package's, and not of a subclass written in Python, or put there by a test. What
        wraps a method may have its name and module, but runs in globals of its own."""
        return getattr(getattr(self._native, method), "__globals__", None) is vars(module)

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

    def stream(
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
    ) -> SyncStream:
        given = _plans.options_of(locals())
        if not self._is_ours("stream"):
            return LoopStream(self._native.stream(prompt, model, max_tokens=max_tokens, **given))
        return PulledStream(lambda: _plans.generate(self._native, prompt, model, max_tokens, given))

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

    def list_adapters(self) -> List[str]:
        if not self._is_ours("list_adapters"):
            return run(self._native.list_adapters())
        return self._native._list()

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


class VLLMSyncProvider(NativeSyncProvider):
    """Blocking methods of a VLLMProvider."""

    def __init__(self, provider: vllm_provider.VLLMProvider) -> None:
        super().__init__(provider)
        self._vllm = provider

    def server_adapters(self) -> Any:
        if not self._is_ours("server_adapters", vllm_provider):
            return run(self._vllm.server_adapters())
        return _plans.server_adapters(self._vllm).call_blocking()
