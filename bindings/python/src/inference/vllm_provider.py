"""VLLMProvider: InferenceProvider implementation backed by a vLLM server.

Uses the OpenAI-compatible API for generation and vLLM's LoRA management endpoints for hot-loading adapters
at runtime.
"""

from __future__ import annotations

import os
from typing import Any, Mapping, NoReturn, Optional, Set, Union

from ._native import NativeProvider

__all__ = ["VLLMProvider"]

DEFAULT_URL = "http://localhost:8100/v1"


class ServerProvider(NativeProvider):
    """A provider that speaks HTTP."""

    _base_url: str

    def _where(self) -> str:
        return self._base_url

    @property
    def _client(self) -> NoReturn:
        raise AttributeError(
            "%s has no _client: requests are made by the C library, not by AsyncOpenAI. What is not in "
            "generate() goes through extra_body= and extra_headers=" % type(self).__name__
        )


def resolve(base_url: Optional[str], variable: str, default: str) -> str:
    return base_url or os.environ.get(variable) or default


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
        self._base_url = resolve(base_url, "VLLM_BASE_URL", DEFAULT_URL)
        options = {
            "api_key": api_key,
            "headers": headers,
            "connect_timeout": connect_timeout,
            "silence_timeout": silence_timeout,
            "max_retries": max_retries,
            "max_connections": max_connections,
            "adapter_check": adapter_check,
        }
        super().__init__(self._base_url, options)

    @property
    def _loaded_adapters(self) -> Set[str]:
        return set(self._list())

    async def server_adapters(self) -> Any:
        """What the servers list, asked now, beside what this provider tracks.

        A list of {"name", "id", "path", "tracked", "on_server", "server"}.
        """
        from . import _plans

        return await _plans.server_adapters(self).call()
