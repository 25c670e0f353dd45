"""NativeProvider: what the four providers over the C library have in common.

Owns: one provider handle of the library, made when it is first needed, and the extras beyond the reference,
keyword only. A forked child makes a handle of its own; models and adapters are loaded anew there.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import typing
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Sequence, Union

from ._late import Late
from ._types import AdapterReport, Adapters, Config, GenerateOptions, Logits, Messages, ProviderStats, Schema, Source
from ._types import Tools
from .exceptions import NotFoundError
from .provider import DetailedResult, InferenceProvider, TextStream

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from . import _plans, _sync
    from ._operations import Stream
    from ._sync import NativeSyncProvider
else:

    _plans = Late(globals(), "_plans")
    _sync = Late(globals(), "_sync")
    # For typing.get_type_hints: what a stream is a kind of, and Unpack where typing has none yet.
    Stream = TextStream
    Unpack = getattr(typing, "Unpack", Optional)

logger = logging.getLogger("inference")


def keywords(given: Mapping[str, Any], *others: str) -> Dict[str, Any]:
    """The options that a constructor was given, out of its locals(): all but these others."""
    return {name: given[name] for name in given if name not in others and name not in ("self", "__class__")}


def resolve(given: Any, variable: str, default: str = "") -> str:
    """A URL, a path or an id: the one given, else the environment's, else the default."""
    if given:
        return os.fsdecode(given) if isinstance(given, (bytes, os.PathLike)) else str(given)
    return os.environ.get(variable) or default


class NativeProvider(InferenceProvider):
    """A provider of the C library. Use one of its four subclasses."""

    _kind = 0  # enum inf_provider_type
    _in_process = False
    _has_adapters = True

    def __init__(self, base_url: Optional[str], options: Mapping[str, Any]) -> None:
        self._url = base_url
        self._options = {name: value for name, value in options.items() if value is not None}
        self._handle: Optional[_plans.Handle] = None
        self._making = threading.Lock()

    def __repr__(self) -> str:
        url = self._url and re.sub("//[^/@]*@", "//...@", self._url)  # a password
        given = ["%r" % url] if url is not None else []
        secret = ("api_key", "headers")
        given += ["%s=%r" % (k, "..." if k in secret else v) for k, v in self._options.items()]
        return "%s(%s)" % (type(self).__name__, ", ".join(given))

    def __getstate__(self) -> Dict[str, Any]:
        state = dict(self.__dict__)
        del state["_handle"], state["_making"]
        return state

    def __setstate__(self, state: Dict[str, Any]) -> None:
        vars(self).update(state)
        self._handle, self._making = None, threading.Lock()

    def _native(self) -> int:
        lib = _plans.library()
        handle = self._handle
        if handle is not None and handle.library is lib:
            return handle.pointer
        if handle is not None and not handle.library.current:
            self._making = threading.Lock()  # a forked child: a thread of the parent may hold it
        with self._making:
            if self._handle is None or self._handle.library is not lib:
                self._handle = _plans.Handle(lib, self._kind, self._url, self._options)
            return self._handle.pointer

    def _result_model(self) -> Optional[str]:
        """What a result's model is; None: what the library says."""
        return None

    def _where(self) -> str:
        """The URL that errors are about; "" in process."""
        return ""

    # ---- the reference's methods

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
        *,
        messages: Optional[Messages] = None,
        adapters: Optional[Adapters] = None,
        adapter_scale: Optional[float] = None,
        stop: Union[str, Sequence[str], None] = None,
        stop_token_ids: Optional[Sequence[int]] = None,
        seed: Optional[int] = None,
        top_k: Optional[int] = None,
        min_p: Optional[float] = None,
        frequency_penalty: Optional[float] = None,
        presence_penalty: Optional[float] = None,
        logprobs: Optional[int] = None,
        json_schema: Optional[Schema] = None,
        grammar: Optional[str] = None,
        ignore_eos: bool = False,
        timeout: Optional[float] = None,
        queue_timeout: Optional[float] = None,
        template_variables: Optional[Mapping[str, Any]] = None,
        plain_prompt: bool = False,
        add_special: Optional[bool] = None,
        tools: Optional[Tools] = None,
        tool_choice: Union[str, Mapping[str, Any], None] = None,
        plain_output: bool = False,
        continue_final_message: bool = False,
        speculate: str = "auto",
        reference: Optional[str] = None,
        extra_body: Optional[Mapping[str, Any]] = None,
        extra_headers: Union[str, Mapping[str, str], None] = None,
    ) -> DetailedResult:
        """Generate text from a prompt, or from chat messages.

        Args:
            prompt: The input prompt; "" with messages.
            model: Servers: sent as is. In process: ignored, the model is the provider's own.
            adapter_id: LoRA adapter to apply.
            max_tokens: Maximum number of tokens to generate.
            system_prompt: System-level instruction.
            temperature: 0 is greedy.
            top_p: Nucleus sampling threshold.
            repetition_penalty: 1 is off.
            messages: A chat, as OpenAI has it, instead of the prompt.
            adapters: Several adapters, {"id": scale}, whose changes add up.
            adapter_scale: Multiplies the scale of adapter_id.
            stop: Texts to end before.
            stop_token_ids: Tokens to end at.
            seed: Makes sampling repeatable.
            top_k: The most probable tokens to sample from; 0 is all.
            min_p: Least probability of a token, relative to the most probable one's.
            frequency_penalty: -2 to 2.
            presence_penalty: -2 to 2.
            logprobs: Log-probabilities of each token and of that many others, in result.logprobs.
            json_schema: The text will be JSON of this schema: a dict, a text, a pydantic model class.
            grammar: The text will follow this GBNF grammar.
            ignore_eos: Go on after an end-of-text token.
            timeout: Seconds of work; math.inf is no limit. Default 600.
            queue_timeout: Seconds of waiting for a slot or a connection. Default: no limit.
            template_variables: Further variables of the chat template.
            plain_prompt: In process: special tokens written in the prompt are plain text.
            add_special: In process: whether beginning-of-text tokens are put before the prompt.
            tools: With messages: the functions that the model may call, as OpenAI has them. Its calls are in
                result.tool_calls.
            tool_choice: "auto", "none", "required", a function's name, or OpenAI's object for one.
            plain_output: In process: leave reasoning and tool calls in the text as the model wrote them.
            continue_final_message: Go on with the last message, where it ends. In process and by vLLM.
            speculate: In process: "auto", "off" or "lookup": whether several looked up tokens are verified in a
                step; "auto" is where it pays.
            reference: In process: a text of which the answer may repeat parts, as the file that is being edited;
                speculation looks there too.
            extra_body: Servers: further JSON fields to send.
            extra_headers: Servers: further header lines to send.

        Raises:
            UnsupportedOperationError: An option that this backend would ignore.
            ValueError: An option out of range, an adapter that is not loaded.
        """
        options = _plans.options_of(locals())
        result: DetailedResult = await _plans.generate(self, prompt, model, max_tokens, options).call()
        return result

    async def load_adapter(
        self,
        adapter_id: str,
        adapter_path: Source,
        *,
        config: Optional[Config] = None,
    ) -> AdapterReport:
        """Load a LoRA adapter, from a path or from memory. An id that is loaded already is replaced.

        Args:
            adapter_id: Unique name for the adapter.
            adapter_path: A PEFT directory or a GGUF file; or in memory: the bytes of
                adapter_model.safetensors or of a GGUF file, or a dict of arrays (numpy, torch).
            config: With weights from memory: what adapter_config.json has, as a dict or its text.

        Returns:
            What was loaded: rank, scale, modules, bytes.
        """
        return await _plans.load(self, adapter_id, adapter_path, config).call()

    async def unload_adapter(self, adapter_id: str) -> None:
        """Unload an adapter: new requests do not see it, those in flight finish first.

        In process an id that is not loaded is logged as a warning, and that is all.
        """
        try:
            await _plans.unload(self, adapter_id).call()
        except NotFoundError as error:
            self._unload_unknown(error)

    def _unload_unknown(self, error: NotFoundError) -> None:
        if not self._in_process:
            raise error
        logger.warning("%s", error)

    def _list(self) -> List[str]:
        return _plans.adapter_ids(self)

    async def list_adapters(self) -> List[str]:
        """The ids of the adapters that this provider has loaded, sorted."""
        return self._list()

    # ---- beyond the reference

    def stream(
        self,
        prompt: str,
        model: str,
        adapter_id: str | None = None,
        max_tokens: int = 4096,
        system_prompt: str | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        repetition_penalty: float | None = None,
        **options: Unpack[GenerateOptions],
    ) -> Stream:
        """The text as it is generated; the arguments are those of generate().

        It starts with the first chunk that is asked for. Leaving the loop cancels it.

        Example:
            async with provider.stream("Once upon a time", model="m") as chunks:
                async for chunk in chunks:
                    print(chunk.text, end="", flush=True)
            print(chunks.result.finish_reason)
        """
        return _plans.stream(self, prompt, model, max_tokens, _plans.options_of(locals()))

    @property
    def sync(self) -> NativeSyncProvider:
        """The same methods, blocking: for scripts and notebooks, inside a running event loop too."""
        return _sync.NativeSyncProvider(self)

    async def tokenize(self, text: str, *, add_special: bool = True) -> List[int]:
        """In process: the token ids of a text, with the model's beginning-of-text tokens or without."""
        return await _plans.tokenize(self, text, add_special).call()

    async def detokenize(self, ids: Iterable[int], *, skip_special: bool = False) -> str:
        """In process: the text of token ids."""
        return await _plans.detokenize(self, ids, skip_special).call()

    async def render(
        self, messages: Messages, *, add_generation_prompt: bool = True, **variables: Any
    ) -> str:
        """In process: the model's chat template applied; `variables` are further ones of the template."""
        return await _plans.render(self, messages, add_generation_prompt, variables).call()

    async def inspect(self, path: Any = None, *, base: Any = None) -> Dict[str, Any]:
        """What a model or an adapter is: architecture, dtype, rank, targets, size.

        Without a path: the provider's own model. An adapter is checked against `base`, in process against
        the provider's model: "fits", and "reason" when it does not.
        """
        return await _plans.inspect_from(self, path, base).call()

    async def logits(
        self,
        ids: Iterable[int],
        *,
        top: int = 10,
        probe: Iterable[int] = (),
        adapter_id: Optional[str] = None,
        adapter_scale: Optional[float] = None,
        adapters: Optional[Adapters] = None,
    ) -> Logits:
        """In process: the logits after the last of these token ids."""
        return await _plans.logits(self, ids, top, probe, _plans.options_of(locals())).call()

    async def load(self) -> None:
        """In process: loads the model now, instead of on the first generate."""
        await _plans.model(self, True).call()

    async def unload(self) -> None:
        """In process: frees the model and its tokenizer after the requests in flight; adapters stay registered."""
        await _plans.model(self, False).call()

    def stats(self) -> ProviderStats:
        """In process: what the provider is doing, now."""
        return _plans.stats(self)
