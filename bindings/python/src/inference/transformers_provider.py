"""TransformersProvider: Hugging Face checkpoints in this process, natively, with PEFT adapters."""

from __future__ import annotations

import os
from typing import Optional, Union

from ._native import NativeProvider, keywords, resolve

__all__ = ["TransformersProvider"]

VARIABLE, DEFAULT_URL = "TRANSFORMERS_MODEL_NAME", ""


class TransformersProvider(NativeProvider):
    """InferenceProvider for Hugging Face checkpoints, in this process; neither torch nor transformers is used.

    Args:
        model_name: HuggingFace model ID or local path. Defaults to TRANSFORMERS_MODEL_NAME.
        device: Device to compute on ('cpu', 'mps', 'cuda').
        torch_dtype: Model dtype ('auto', 'float32', 'float16', 'bfloat16', ...).
        n_ctx: Window of each request, tokens. Default 4096.

    The other options are those of LlamaCppProvider.

    Example:
        provider = TransformersProvider(model_name="Qwen/Qwen2.5-Coder-0.5B")
        result = await provider.generate("def hello", model="ignored")
    """

    _kind = 4  # INF_PROVIDER_TRANSFORMERS
    _in_process = True

    def __init__(
        self,
        model_name: Union[str, "os.PathLike[str]"] = "",
        device: str = "cpu",
        torch_dtype: str = "auto",
        *,
        n_ctx: Optional[int] = None,
        n_gpu_layers: Optional[int] = None,
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
    ) -> None:
        options = keywords(locals(), "model_name", "torch_dtype")
        options["torch_dtype"] = torch_dtype if isinstance(torch_dtype, str) else str(torch_dtype).rpartition(".")[2]
        super().__init__(resolve(model_name, VARIABLE) or None, options)

    @property
    def model_name(self) -> str:
        return self._url or ""
