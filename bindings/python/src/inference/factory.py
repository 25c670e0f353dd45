"""Provider factory with instance cache for the inference library.

Selects a provider by name and URL, and caches instances by (provider_type, base_url), so that repeated calls
return the identical object. For the providers in process the base_url is the model's path.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from . import llamacpp_provider, ollama_provider, transformers_provider, vllm_provider
from ._native import resolve
from .exceptions import InvalidArgumentError
from .provider import InferenceProvider

__all__ = ["get_provider", "get_provider_for_step"]

_provider_cache: Dict[Tuple[str, str], InferenceProvider] = {}
_lock = threading.Lock()


# The classes are looked up in their modules at the call, so that a test may put another in their place.
def _make_vllm(url: str) -> InferenceProvider:
    return vllm_provider.VLLMProvider(base_url=url)


def _make_ollama(url: str) -> InferenceProvider:
    return ollama_provider.OllamaProvider(base_url=url)


def _make_llamacpp(path: str) -> InferenceProvider:
    return llamacpp_provider.LlamaCppProvider(model_path=path)


def _make_transformers(model_name: str) -> InferenceProvider:
    device = os.environ.get("TRANSFORMERS_DEVICE") or "cpu"
    return transformers_provider.TransformersProvider(model_name, device)


# Its module, which says where it is without a URL; what makes one.
_TYPES: Dict[str, Tuple[Any, Callable[[str], InferenceProvider]]] = {
    "vllm": (vllm_provider, _make_vllm),
    "ollama": (ollama_provider, _make_ollama),
    "llamacpp": (llamacpp_provider, _make_llamacpp),
    "transformers": (transformers_provider, _make_transformers),
}


def get_provider(provider_type: str | None = None, base_url: str | None = None) -> InferenceProvider:
    """Return a cached InferenceProvider for the given backend.

    Args:
        provider_type: "vllm", "ollama", "llamacpp" or "transformers", in any case. If None, the
            INFERENCE_PROVIDER environment variable (default "vllm").
        base_url: URL of the backend server, or path of the model in process. If None, VLLM_BASE_URL,
            OLLAMA_BASE_URL, LLAMACPP_MODEL_PATH or TRANSFORMERS_MODEL_NAME, read at the call.

    Raises:
        ValueError: If provider_type is none of these.

    Example:
        provider = get_provider("vllm")
        isinstance(provider, VLLMProvider)  # True
    """
    given: Any = provider_type or os.environ.get("INFERENCE_PROVIDER") or "vllm"
    name = given.lower() if isinstance(given, str) else given
    if name not in _TYPES:
        raise InvalidArgumentError(
            "Unsupported provider type %r. Supported values: %s"
            % (given, ", ".join("'%s'" % known for known in _TYPES))
        )
    module, make = _TYPES[name]
    url = resolve(base_url, module.VARIABLE, module.DEFAULT_URL)
    key = (name, url)
    with _lock:
        provider = _provider_cache.get(key)
        if provider is None:
            provider = _provider_cache[key] = make(url)
        return provider


def get_provider_for_step(step_config: Mapping[str, Optional[str]]) -> InferenceProvider:
    """Return a cached InferenceProvider configured from a step config dict.

    Args:
        step_config: Dict with optional keys "provider" and "base_url"; other keys are ignored.

    Raises:
        ValueError: If the provider type in step_config is not supported.

    Example:
        provider = get_provider_for_step({"provider": "ollama"})
        isinstance(provider, OllamaProvider)  # True
    """
    return get_provider(step_config.get("provider"), step_config.get("base_url"))


def _clear_cache() -> None:
    """Forgets the cached providers; one that is still in use goes on working."""
    with _lock:
        _provider_cache.clear()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
