"""Inference provider library for LLM generation and LoRA adapter management.

Provides a provider-agnostic interface (InferenceProvider) with vLLM, Ollama, llama.cpp and Hugging Face
backends, a factory for backend selection by configuration, and structured generation results. It is a thin
layer over a C library, which is loaded when the first provider is used.
"""

from __future__ import annotations

from typing import Any, Dict

from . import _late

with _late.importing:
    from . import _cpu

    _cpu.check()

    from ._types import AdapterReport, Logits, Logprob, ProviderStats, Timings, UsedAdapter
    from .exceptions import (
        AdapterMismatchError,
        BackendError,
        BadFormatError,
        ContextFullError,
        HTTPStatusError,
        InferenceError,
        InvalidArgumentError,
        LimitError,
        NotFiniteError,
        NotFoundError,
        ProtocolError,
        StateError,
        TemplateError,
        UnsupportedOperationError,
    )
    from .factory import get_provider, get_provider_for_step
    from .llamacpp_provider import LlamaCppProvider
    from .ollama_provider import OllamaProvider
    from .provider import Chunk, DetailedResult, GenerationResult, InferenceProvider, TextStream
    from .transformers_provider import TransformersProvider
    from .vllm_provider import VLLMProvider

__version__ = "0.1.0"

__all__ = [
    "AdapterMismatchError",
    "AdapterReport",
    "BackendError",
    "BadFormatError",
    "Chunk",
    "ContextFullError",
    "DetailedResult",
    "GenerationResult",
    "HTTPStatusError",
    "InferenceError",
    "InferenceProvider",
    "InvalidArgumentError",
    "LimitError",
    "LlamaCppProvider",
    "Logits",
    "Logprob",
    "NotFiniteError",
    "NotFoundError",
    "OllamaProvider",
    "ProtocolError",
    "ProviderStats",
    "StateError",
    "TemplateError",
    "TextStream",
    "Timings",
    "TransformersProvider",
    "UnsupportedOperationError",
    "UsedAdapter",
    "VLLMProvider",
    "get_provider",
    "get_provider_for_step",
]  # not inspect(): `import *` would put it in the place of the module of that name


async def inspect(path: Any, base: Any = None) -> Dict[str, Any]:
    """What a model or an adapter is: architecture, dtype, rank, targets, size.

    Args:
        path: A GGUF file, a Hugging Face directory or a PEFT directory.
        base: A model; for an adapter "fits" is added, and "reason" when it does not.
    """
    with _late.importing:
        from . import _plans

    return await _plans.inspect(path, base).call()
