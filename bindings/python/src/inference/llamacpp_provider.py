"""LlamaCppProvider: GGUF models in this process, through llama.cpp, with LoRA adapters per request."""

from __future__ import annotations

import os
from typing import Optional, Union

from ._native import NativeProvider, keywords, resolve

__all__ = ["LlamaCppProvider"]

VARIABLE, DEFAULT_URL = "LLAMACPP_MODEL_PATH", ""


class LlamaCppProvider(NativeProvider):
    """InferenceProvider backed by llama.cpp in this process.

    The model is loaded lazily, on the first generate() call. Adapters are applied per request: the model is
    never loaded again, and requests with different adapters are computed together.

    Args:
        model_path: Path to the GGUF model file. Defaults to LLAMACPP_MODEL_PATH.
        n_ctx: Window of each request, tokens.
        n_gpu_layers: Layers on a device (-1 = all).
        n_threads: Compute threads. Default: one a physical core.
        max_sequences: Requests computed together, 1 to 64. Default 16.
        queue_limit: Requests waiting beyond those. Default 1024.
        prefill_chunk: Prompt tokens a step while others decode. Default 128.
        flash_attention: "auto", "on" or "off".
        adapter_execution: "auto", "shared" or "native".
        kv_budget_bytes: Upper bound of KV cache memory. Default 4 GiB.
        max_adapters: Registered at once. Default: no limit.
        max_adapter_bytes: Their bytes in memory. Default: no limit.
        adapter_overflow: Beyond these limits: "refuse" the load, or "evict" the least recently used.
        device: "cpu", ...; default: the build's best.

    Example:
        provider = LlamaCppProvider(model_path="/models/qwen2.5-coder-1.5b.gguf")
        result = await provider.generate("def hello", model="ignored")
    """

    _kind = 3  # INF_PROVIDER_LLAMACPP
    _in_process = True

    def __init__(
        self,
        model_path: Union[str, "os.PathLike[str]", None] = None,
        n_ctx: int = 4096,
        n_gpu_layers: int = -1,
        *,
        n_threads: Optional[int] = None,
        max_sequences: Optional[int] = None,
        queue_limit: Optional[int] = None,
        prefill_chunk: Optional[int] = None,
        flash_attention: Optional[str] = None,
        adapter_execution: Optional[str] = None,
        kv_budget_bytes: Optional[int] = None,
        max_adapters: Optional[int] = None,
        max_adapter_bytes: Optional[int] = None,
        adapter_overflow: Optional[str] = None,
        device: Optional[str] = None,
    ) -> None:
        super().__init__(resolve(model_path, VARIABLE) or None, keywords(locals(), "model_path"))

    @property
    def model_path(self) -> Optional[str]:
        return self._url

    def _result_model(self) -> Optional[str]:
        return os.path.splitext(os.path.basename(self._url))[0] if self._url else None
