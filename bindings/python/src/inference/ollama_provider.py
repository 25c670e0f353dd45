"""OllamaProvider: InferenceProvider implementation backed by an Ollama server.

Adapter operations raise UnsupportedOperationError, since Ollama has no LoRA adapter concept.
"""

from __future__ import annotations

from typing import Mapping, Optional, Union

from .vllm_provider import ServerProvider, resolve

__all__ = ["OllamaProvider"]

DEFAULT_URL = "http://localhost:11434/v1"


class OllamaProvider(ServerProvider):
    """InferenceProvider backed by an Ollama server.

    An adapter_id is logged as a warning and ignored, results have none; load_adapter and unload_adapter raise
    UnsupportedOperationError, list_adapters returns [].

    Args:
        base_url: URL of the Ollama server. Defaults to OLLAMA_BASE_URL, else http://localhost:11434/v1.
        api_key: Default "ollama".
        headers: Further headers, sent with every request.
        connect_timeout: Seconds for a connection. Default 5.
        silence_timeout: Seconds between bytes of an answer. Default 60.
        max_retries: Of a generation of which nothing has come. Default 2.
        max_connections: Generations that the server is sent at once. Default 256.

    Example:
        provider = OllamaProvider(base_url="http://localhost:11434/v1")
        result = await provider.generate("def hello", model="qwen2.5-coder:7b")
    """

    _kind = 2  # INF_PROVIDER_OLLAMA

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
    ) -> None:
        self._base_url = resolve(base_url, "OLLAMA_BASE_URL", DEFAULT_URL)
        options = {
            "api_key": api_key,
            "headers": headers,
            "connect_timeout": connect_timeout,
            "silence_timeout": silence_timeout,
            "max_retries": max_retries,
            "max_connections": max_connections,
        }
        super().__init__(self._base_url, options)
