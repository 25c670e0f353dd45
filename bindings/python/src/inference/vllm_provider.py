"""VLLMProvider: InferenceProvider implementation backed by a vLLM server.

Uses the OpenAI-compatible API for generation and vLLM's LoRA management endpoints for hot-loading adapters
at runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Mapping, NoReturn, Optional, Set, Tuple, Type, Union

from ._late import Late
from ._native import keywords, resolve
from ._server import ServerProvider

if TYPE_CHECKING:
    from . import _plans, _sync
    from ._sync import VLLMSyncProvider
else:
    _plans = Late(globals(), "_plans")
    _sync = Late(globals(), "_sync")

__all__ = ["VLLMProvider"]

VARIABLE, DEFAULT_URL = "VLLM_BASE_URL", "http://localhost:8100/v1"


_A_COPY = "_loaded_adapters is a copy; load_adapter() and unload_adapter() change what is loaded"


class _Tracked(Set[str]):
    """The ids as they are now. The provider keeps the truth: to change this would change nothing."""

    def _refuse(self, *_: object) -> NoReturn:
        raise AttributeError(_A_COPY)

    def copy(self) -> Set[str]:
        return set(self)

    def __reduce__(self) -> Tuple[Type[Set[str]], Tuple[List[str]]]:
        return set, (list(self),)  # the copy module's copies, and pickle's, are plain ones too

    def __repr__(self) -> str:
        return repr(set(self))


_CHANGES = "add clear difference_update discard intersection_update pop remove symmetric_difference_update update"
for _name in _CHANGES.split() + ["__iand__", "__ior__", "__isub__", "__ixor__"]:
    setattr(_Tracked, _name, _Tracked._refuse)


class VLLMProvider(ServerProvider):
    """InferenceProvider backed by a vLLM server with LoRA hot-loading support.

    Args:
        base_url: URL of the vLLM server; several with commas between them are replicas, used as one.
            Defaults to VLLM_BASE_URL, else http://localhost:8100/v1.
        api_key: Sent as a bearer token. Default: VLLM_API_KEY.
        headers: Further headers, sent with every request.
        connect_timeout: Seconds for a connection. Default 5.
        silence_timeout: Seconds between bytes of an answer. Default 60.
        max_retries: Of a generation of which nothing has come. Default 2.
        max_connections: Generations that a server is sent at once. Default 256.
        adapter_check: "auto", "always" or "never": whether adapter files are checked here first.

    Attributes:
        _base_url: The URL.
        _loaded_adapters: The ids of the adapters that are loaded, a set.

    Example:
        provider = VLLMProvider(base_url="http://localhost:8100/v1")
        result = await provider.generate("def hello", model="Qwen2.5-Coder-7B")
    """

    _kind = 1  # INF_PROVIDER_VLLM

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: Optional[str] = None,
        headers: Union[str, Mapping[str, str], None] = None,
        connect_timeout: Optional[float] = None,
        silence_timeout: Optional[float] = None,
        max_retries: Optional[int] = None,
        max_connections: Optional[int] = None,
        adapter_check: Optional[str] = None,
    ) -> None:
        super().__init__(resolve(base_url, VARIABLE, DEFAULT_URL), keywords(locals(), "base_url"))

    @property
    def _loaded_adapters(self) -> Set[str]:
        return _Tracked(self._list())

    @_loaded_adapters.setter
    def _loaded_adapters(self, _: object) -> NoReturn:
        raise AttributeError(_A_COPY)

    @property
    def sync(self) -> VLLMSyncProvider:
        """The same methods, blocking: for scripts and notebooks, inside a running event loop too."""
        return _sync.VLLMSyncProvider(self)

    async def server_adapters(self) -> Any:
        """What the servers list, asked now, beside what this provider tracks.

        A list of {"name", "id", "path", "tracked", "on_server", "server"}.
        """
        return await _plans.server_adapters(self).call()
