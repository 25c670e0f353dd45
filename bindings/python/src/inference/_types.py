"""What methods take and return, beside GenerationResult: values without behaviour.

They stand apart from what reads and writes them, so that annotations can be resolved (typing.get_type_hints,
as frameworks do it) without anything of the C library being imported.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, NamedTuple, Optional, Protocol, Sequence, Tuple, TypedDict, Union

__all__ = ["AdapterReport", "Logits", "Logprob", "ProviderStats", "Timings", "UsedAdapter"]


class PeftConfig(Protocol):
    """A LoraConfig of peft, or another that has its to_dict."""

    def to_dict(self) -> Any: ...


Messages = Sequence[Mapping[str, Any]]
Tools = Union[str, Sequence[Mapping[str, Any]]]
Adapters = Union[Mapping[str, Optional[float]], Iterable[Union[str, Tuple[str, Optional[float]]]]]
Schema = Union[str, bool, Mapping[str, Any], type]
Config = Union[Mapping[str, Any], str, bytes, PeftConfig]
Source = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, Mapping[str, Any]]


class GenerateOptions(TypedDict, total=False):
    """The keyword-only options of generate() and stream()."""

    messages: Optional[Messages]
    adapters: Optional[Adapters]
    adapter_scale: Optional[float]
    stop: Union[str, Sequence[str], None]
    stop_token_ids: Optional[Sequence[int]]
    seed: Optional[int]
    top_k: Optional[int]
    min_p: Optional[float]
    frequency_penalty: Optional[float]
    presence_penalty: Optional[float]
    logprobs: Optional[int]
    json_schema: Optional[Schema]
    grammar: Optional[str]
    ignore_eos: bool
    timeout: Optional[float]
    queue_timeout: Optional[float]
    template_variables: Optional[Mapping[str, Any]]
    plain_prompt: bool
    add_special: Optional[bool]
    tools: Optional[Tools]
    tool_choice: Union[str, Mapping[str, Any], None]
    plain_output: bool
    continue_final_message: bool
    speculate: str
    reference: Optional[str]
    extra_body: Optional[Mapping[str, Any]]
    extra_headers: Union[str, Mapping[str, str], None]


class Timings(NamedTuple):
    """Seconds. `queued` is waiting for a slot or a connection, `load` waiting for the model apart."""

    queued: float
    load: float
    prefill: float
    first_token: float
    decode: float
    total: float


class UsedAdapter(NamedTuple):
    """An adapter that a result was made with; generation 0 is one that this provider did not load."""

    id: str
    generation: int
    scale: float


class Logprob(NamedTuple):
    """A token's natural log-probability before sampling options, and the most probable others.

    piece is its text, or bytes when it is not UTF-8 by itself; token_id is -1 where a server does not tell.
    """

    token_id: int
    piece: Union[str, bytes]
    logprob: float
    top: Tuple[Logprob, ...] = ()


@dataclass(frozen=True)
class AdapterReport:
    """What a load made of an adapter.

    Of a server's adapter, rank to tensors and bytes are 0 where this machine cannot read its files.
    `generation` counts the loads of the provider; `evicted` are the ids that made room for this one.
    """

    adapter_id: str
    generation: int
    format: str
    rank: int
    scale: float
    modules: int
    tensors: int
    bytes: int
    replaced: bool
    evicted: Tuple[str, ...] = ()


@dataclass(frozen=True)
class ProviderStats:
    """What an in-process provider is doing: counts that only grow, and, marked (now), states."""

    steps: int
    shared_steps: int
    rows: int
    requests: int
    prefix_tokens: int
    active: int
    queued: int
    adapters: int
    pins: int
    adapter_bytes: int
    kv_bytes: int
    model_loaded: bool


@dataclass(frozen=True)
class Logits:
    """The logits after the last token: the largest, those asked for, and all of them."""

    top: Tuple[Tuple[int, float], ...]
    probe: Tuple[float, ...]
    all: array[float]
