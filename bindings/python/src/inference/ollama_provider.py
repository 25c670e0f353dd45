"""OllamaProvider: InferenceProvider implementation backed by an Ollama server.

Adapter operations raise UnsupportedOperationError, since Ollama has no LoRA adapter concept.
"""

from __future__ import annotations

from typing import Mapping, Optional, Union

from ._native import keywords, resolve
from ._server import ServerProvider

__all__ = ["OllamaProvider"]

VARIABLE, DEFAULT_URL = "OLLAMA_BASE_URL", "http://localhost:11434/v1"


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
    _has_adapters = False

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
        super().__init__(resolve(base_url, VARIABLE, DEFAULT_URL), keywords(locals(), "base_url"))
