"""Abstract base class and shared types for inference providers.

Defines the provider-agnostic API: four abstract methods, and what is built on them. A subclass written in
Python implements the four and gets streaming and the synchronous face with them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Generic, List, Optional, Tuple, TypeVar

from ._late import Late
from ._types import AdapterReport, Logprob, Timings, UsedAdapter

if TYPE_CHECKING:
    from . import _sync
    from ._sync import SyncProvider
else:
    _sync = Late(globals(), "_sync")

__all__ = ["Chunk", "DetailedResult", "GenerationResult", "InferenceProvider", "TextStream"]


@dataclass
class GenerationResult:
    """Structured result returned by InferenceProvider.generate().

    Attributes:
        text: The generated text output from the model.
        model: The model identifier used for generation.
        adapter_id: The LoRA adapter applied during generation, or None if no adapter was used.
        token_count: Total number of tokens consumed (prompt + completion).
        finish_reason: Reason generation stopped (e.g. "stop", "length").
    """

    text: str
    model: str
    adapter_id: Optional[str]
    token_count: int
    finish_reason: str


class DetailedResult(GenerationResult):
    """A GenerationResult with what else is known, as attributes.

    Equality, asdict, vars, replace, repr and pickle see the five fields of GenerationResult alone, which is
    why the others are slots. Counts that a server did not tell are None; then token_count is 0.
    """

    __slots__ = (
        "_times",
        "accepted_tokens",
        "adapter_generation",
        "adapters",
        "completion_tokens",
        "drafted_tokens",
        "logprobs",
        "mean_adapters",
        "mean_rows",
        "prefix_tokens",
        "prompt_tokens",
        "reasoning",
        "row_independent",
        "steps",
        "token_ids",
        "tool_calls",
    )
    prompt_tokens: Optional[int]
    completion_tokens: Optional[int]
    token_ids: Tuple[int, ...]
    reasoning: Optional[str]
    tool_calls: Optional[List[Dict[str, Any]]]
    adapter_generation: int
    adapters: Tuple[UsedAdapter, ...]
    logprobs: Optional[Tuple[Logprob, ...]]
    prefix_tokens: int
    steps: int
    mean_rows: float
    mean_adapters: float
    row_independent: bool
    drafted_tokens: int
    accepted_tokens: int
    _times: Tuple[int, ...]

    if not TYPE_CHECKING:  # which would find any attribute then

        def __getattr__(self, name):
            """What this result has no more to say of: a slot that was left empty."""
            try:
                return _EMPTY[name]
            except KeyError:
                raise AttributeError("%r object has no attribute %r" % (type(self).__name__, name)) from None

    @property
    def timings(self) -> Timings:
        return Timings(*[us / 1e6 for us in self._times])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GenerationResult):
            return NotImplemented
        if other.__class__ is not GenerationResult and not isinstance(other, DetailedResult):
            return NotImplemented
        return _five(self) == _five(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "GenerationResult(text=%r, model=%r, adapter_id=%r, token_count=%r, finish_reason=%r)" % _five(self)

    def __reduce__(self) -> Tuple[Any, ...]:
        return GenerationResult, _five(self)


def _five(result: GenerationResult) -> Tuple[str, str, Optional[str], int, str]:
    return result.text, result.model, result.adapter_id, result.token_count, result.finish_reason


_EMPTY: Dict[str, Any] = {
    "prompt_tokens": None,
    "completion_tokens": None,
    "token_ids": (),
    "reasoning": None,
    "tool_calls": None,
    "adapter_generation": 0,
    "adapters": (),
    "logprobs": None,
    "prefix_tokens": 0,
    "steps": 0,
    "mean_rows": 0.0,
    "mean_adapters": 0.0,
    "row_independent": False,
    "drafted_tokens": 0,
    "accepted_tokens": 0,
    "_times": (0, 0, 0, 0, 0, 0),
}


class Chunk:
    """A piece of an answer. The chunks' texts put together are the result's text.

    Attributes:
        text: Whole characters; "" when the piece is of reasoning or tool calls alone.
        reasoning: The model's reasoning text, never mixed into `text`.
        tokens: Tokens completed so far; 0 where a server does not tell.
        tool_calls: Pieces of tool calls, as deltas of /v1 are: dicts with "index", "id", "type" and "function"
            ("name" and "arguments"). Those of one index put together, each text by itself, are that call of the
            result; what came before, or comes later, is "".
    """

    __slots__ = ("reasoning", "text", "tokens", "tool_calls")

    def __init__(
        self,
        text: str,
        reasoning: str = "",
        tokens: int = 0,
        tool_calls: Optional[List[Dict[str, Any]]] = None,
    ) -> None:
        self.text = text
        self.reasoning = reasoning
        self.tokens = tokens
        self.tool_calls: List[Dict[str, Any]] = [] if tool_calls is None else tool_calls

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        more = ", reasoning=%r" % self.reasoning if self.reasoning else ""
        if self.tool_calls:
            more += ", tool_calls=%r" % self.tool_calls
        return "Chunk(%r%s, tokens=%d)" % (self.text, more, self.tokens)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Chunk):
            return NotImplemented
        return (self.text, self.reasoning, self.tokens, self.tool_calls) == (
            other.text,
            other.reasoning,
            other.tokens,
            other.tool_calls,
        )

    __hash__ = None  # type: ignore[assignment]


ResultT = TypeVar("ResultT", bound=GenerationResult, covariant=True)
StreamT = TypeVar("StreamT", bound="TextStream[Any]")


class TextStream(ABC, Generic[ResultT]):
    """What `stream()` returns: an asynchronous iterator of chunks, and the result when they have ended.

    Leaving the loop early cancels the generation once the stream is closed or forgotten; `async with`
    closes it at a definite place.
    """

    @property
    @abstractmethod
    def result(self) -> Optional[ResultT]:
        """The result once the last chunk has come; None before."""

    @abstractmethod
    async def __anext__(self) -> Chunk: ...

    @abstractmethod
    async def aclose(self) -> None:
        """Ends the generation, if it has not ended by itself."""

    def __aiter__(self: StreamT) -> StreamT:
        return self

    async def __aenter__(self: StreamT) -> StreamT:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def text(self) -> str:
        """The rest of the text, in one piece."""
        return "".join([chunk.text async for chunk in self])


class _OnePiece(TextStream[GenerationResult]):
    """A provider that does not stream: the whole text is one chunk."""

    def __init__(self, work: Any) -> None:
        self._work: Any = work
        self._result: Optional[GenerationResult] = None

    @property
    def result(self) -> Optional[GenerationResult]:
        return self._result

    async def __anext__(self) -> Chunk:
        work, self._work = self._work, None
        if work is None:
            raise StopAsyncIteration
        result: GenerationResult = await work
        self._result = result
        return Chunk(result.text)

    async def aclose(self) -> None:
        self._drop()

    def _drop(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            work.close()

    __del__ = _drop  # a stream that nobody began


class InferenceProvider(ABC):
    """Abstract base class for inference providers.

    Defines a provider-agnostic API for text generation and LoRA adapter lifecycle management.

    Concrete implementations:
        VLLMProvider: full LoRA support via vLLM's dynamic loading API.
        OllamaProvider: base-model inference only; adapter operations raise UnsupportedOperationError.
        LlamaCppProvider: GGUF models in this process, adapters hot-swapped.
        TransformersProvider: Hugging Face checkpoints in this process.
    """

    @abstractmethod
    async def generate(
        self,
        prompt: str,
        model: str,
        adapter_id: str | None = None,
        max_tokens: int = 4096,
        system_prompt: str | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        repetition_penalty: float | None = None,
    ) -> GenerationResult:
        """Generate text from a prompt.

        Args:
            prompt: The user-facing input prompt.
            model: The model identifier to use for generation.
            adapter_id: Optional LoRA adapter to apply. If None, uses the base model directly.
            max_tokens: Maximum number of tokens to generate.
            system_prompt: Optional system-level instruction.
            temperature: Sampling temperature override.
            top_p: Nucleus sampling threshold override.
            repetition_penalty: Repetition penalty override.

        Example:
            result = await provider.generate("def hello", model="Qwen2.5-Coder-7B")
            print(result.text)
        """

    @abstractmethod
    async def load_adapter(self, adapter_id: str, adapter_path: str) -> Optional[AdapterReport]:
        """Load a LoRA adapter.

        Args:
            adapter_id: Unique name for the adapter (used as lora_name in vLLM).
            adapter_path: Filesystem path to the adapter weights directory.

        Raises:
            UnsupportedOperationError: If the provider does not support adapters.
            HTTPStatusError: If the server returns an error response.

        Example:
            await provider.load_adapter("adapter-001", "/models/adapter-001")
        """

    @abstractmethod
    async def unload_adapter(self, adapter_id: str) -> None:
        """Unload a previously loaded LoRA adapter.

        Raises:
            UnsupportedOperationError: If the provider does not support adapters.
            HTTPStatusError: If the server returns an error response.

        Example:
            await provider.unload_adapter("adapter-001")
        """

    @abstractmethod
    async def list_adapters(self) -> List[str]:
        """List all currently loaded LoRA adapters, sorted; empty where there are none.

        Example:
            adapters = await provider.list_adapters()
            print(adapters)  # ["adapter-001", "adapter-002"]
        """

    def stream(self, prompt: str, model: str, *args: Any, **kwargs: Any) -> TextStream[GenerationResult]:
        """The text as it is generated; the arguments are those of generate().

        Example:
            async for chunk in provider.stream("Once upon a time", model="m"):
                print(chunk.text, end="", flush=True)
        """
        return _OnePiece(self.generate(prompt, model, *args, **kwargs))

    @property
    def sync(self) -> SyncProvider:
        """The same methods, blocking: for scripts and notebooks, inside a running event loop too.

        Example:
            print(provider.sync.generate("Once upon a time", model="m").text)
        """
        return _sync.SyncProvider(self)


