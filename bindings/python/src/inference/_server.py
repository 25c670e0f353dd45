"""ServerProvider: what the two providers that speak HTTP have in common."""

from __future__ import annotations

from typing import Any, Dict, NoReturn

from ._native import NativeProvider

__all__ = ["ServerProvider"]


class ServerProvider(NativeProvider):
    """A provider that speaks HTTP."""

    def __init__(self, base_url: str, options: Dict[str, Any]) -> None:
        self._base_url = base_url
        super().__init__(base_url, options)

    def _where(self) -> str:
        return self._base_url

    def _no_client(self, _: object = None) -> NoReturn:
        raise AttributeError(
            "%s has no _client: requests are made by the C library, not by AsyncOpenAI. What is not in "
            "generate() goes through extra_body= and extra_headers=; in tests, patch generate() itself"
            % type(self).__name__
        )

    _client = property(_no_client, _no_client)
