"""Custom exceptions for the inference library.

Each error of the C library has one class here, derived from InferenceError and from the builtin that it is
a kind of. Where the program itself has imported httpx or openai, what is raised is an instance of their
class for the same fault too, so that `except` clauses written for them go on working; neither is imported
here.
"""

from __future__ import annotations

import builtins
import errno
import sys
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple, Type

__all__ = [
    "AdapterMismatchError",
    "BackendError",
    "BadFormatError",
    "ConnectionError",
    "ContextFullError",
    "HTTPStatusError",
    "InferenceError",
    "InvalidArgumentError",
    "LimitError",
    "MemoryError",
    "NotFiniteError",
    "NotFoundError",
    "OSError",
    "ProtocolError",
    "Response",
    "StateError",
    "TemplateError",
    "TimeoutError",
    "UnsupportedOperationError",
]


class InferenceError(Exception):
    """Base of every error that the library reports.

    Attributes:
        code: The error's name in the C library, for instance "not_found".
        detail: errno, a byte offset, a limit or the like; 0 when there is none.
        partial: What a failed generate had made so far, a GenerationResult; None when nothing.
    """

    code: str = "backend"
    detail: int = 0
    partial: Optional[Any] = None

    def __init__(self, message: str = "", *args: object) -> None:
        super().__init__(message, *args)

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> Tuple[Any, ...]:
        return _reduce(self)


class UnsupportedOperationError(InferenceError):
    """Raised when a provider does not support the requested operation.

    Used by OllamaProvider to signal that LoRA adapter operations are not available, and by every provider
    for an option that its backend would ignore.

    Example:
        raise UnsupportedOperationError("OllamaProvider does not support adapters.")
    """

    code = "unsupported"


class InvalidArgumentError(InferenceError, ValueError):
    """An argument out of range, an adapter that is not loaded, a model that is not set."""

    code = "invalid_argument"


class NotFoundError(InferenceError, LookupError):
    """Something of that name is not there."""

    code = "not_found"


class StateError(InferenceError, RuntimeError):
    """A call that is not allowed now."""

    code = "state"


class MemoryError(InferenceError, builtins.MemoryError):  # noqa: A001
    """The system gives no more memory."""

    code = "no_memory"


class OSError(InferenceError, builtins.OSError):  # noqa: A001
    """A file is missing or unreadable; `errno` says why. A missing one is a FileNotFoundError too."""

    code = "io"


class BadFormatError(InferenceError, ValueError):
    """A damaged or foreign file."""

    code = "bad_format"


class AdapterMismatchError(InferenceError, ValueError):
    """The adapter does not fit the model; the message names the tensor."""

    code = "mismatch"


class NotFiniteError(InferenceError, ArithmeticError):
    """NaN or infinity, in an adapter or in what a request computed."""

    code = "not_finite"


class LimitError(InferenceError, RuntimeError):
    """A configured limit is reached; `detail` is the limit."""

    code = "limit"


class ContextFullError(InferenceError, ValueError):
    """The prompt does not fit the context window."""

    code = "context_full"


class TemplateError(InferenceError, ValueError):
    """The model's chat template failed, or refused the messages."""

    code = "template"


if TYPE_CHECKING or sys.version_info >= (3, 11):

    class TimeoutError(InferenceError, builtins.TimeoutError):  # noqa: A001
        """The operation's time is over, or a server's silence lasted too long."""

        code = "timeout"

else:  # asyncio's is another class there: made when it is first asked for, and not by importing this

    def __getattr__(name):
        if name != "TimeoutError":
            raise AttributeError("module %r has no attribute %r" % (__name__, name))
        import asyncio

        about = "The operation's time is over, or a server's silence lasted too long."
        members = {"__module__": __name__, "__doc__": about, "code": "timeout"}
        made = type(name, (InferenceError, asyncio.TimeoutError, builtins.TimeoutError), members)
        return globals().setdefault(name, made)  # another thread may have been at it


class ConnectionError(InferenceError, builtins.ConnectionError):  # noqa: A001
    """The server cannot be reached, or the connection broke."""

    code = "connection"


class ProtocolError(InferenceError, RuntimeError):
    """The server's answer is not what the protocol says."""

    code = "protocol"


class BackendError(InferenceError, RuntimeError):
    """The backend failed; the message carries its words."""

    code = "backend"


class Response:
    """The answer that a server refused with, as far as it was kept (64 KiB)."""

    def __init__(self, status_code: int, content: bytes) -> None:
        self.status_code = status_code
        self.content = content

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        import json

        return json.loads(self.content)

    def __repr__(self) -> str:
        return "<Response [%d]>" % self.status_code


class HTTPStatusError(InferenceError):
    """The server answered with an error.

    Attributes:
        status_code: The HTTP status.
        body: The whole answer, as text.
        response: The answer as an object with status_code, text, content and json().
    """

    code = "http_status"
    status_code: int = 0
    body: Any = ""
    response: Any = None


CANCELLED, TIMEOUT = 13, 14

_BY_CODE = (
    "BackendError",
    "InvalidArgumentError",
    "NotFoundError",
    "UnsupportedOperationError",
    "StateError",
    "MemoryError",
    "OSError",
    "BadFormatError",
    "AdapterMismatchError",
    "NotFiniteError",
    "LimitError",
    "ContextFullError",
    "TemplateError",
    "BackendError",  # cancelled: asyncio.CancelledError, see make()
    "TimeoutError",
    "ConnectionError",
    "HTTPStatusError",
    "ProtocolError",
    "BackendError",
)


def _named(name: str) -> Type[InferenceError]:
    found: Type[InferenceError] = getattr(sys.modules[__name__], name)
    return found


# Which subclass of openai.APIStatusError its own client raises for a status.
_OPENAI_BY_STATUS = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}
_OS_ERRORS: Dict[int, Type[builtins.OSError]] = {
    errno.ENOENT: FileNotFoundError,
    errno.EACCES: PermissionError,
    errno.EPERM: PermissionError,
    errno.ENOTDIR: NotADirectoryError,
    errno.EISDIR: IsADirectoryError,
    errno.ECONNREFUSED: ConnectionRefusedError,
    errno.ECONNRESET: ConnectionResetError,
    errno.EPIPE: BrokenPipeError,
}
_joined: Dict[Tuple[type, ...], Type[InferenceError]] = {}


def _foreign(module: str, *names: str) -> Tuple[type, ...]:
    """The first of these classes that a module the program has imported has."""
    loaded = sys.modules.get(module)
    for name in names:
        found = getattr(loaded, name, None)
        if isinstance(found, type):
            return (found,)
    return ()


def _of_httpx(name: str) -> Tuple[type, ...]:
    """httpx's class, and that of httpx2, which newer versions of openai stand on."""
    return _foreign("httpx", name) + _foreign("httpx2", name)


def _kinds(base: Type[InferenceError], status: int, detail: int) -> Tuple[type, ...]:
    """What else an error is an instance of."""
    if status:  # a server's refusal, however it is called here
        own: Tuple[type, ...] = () if base is HTTPStatusError else (HTTPStatusError,)
        special = _OPENAI_BY_STATUS.get(status) or ("InternalServerError" if status >= 500 else "APIStatusError")
        return own + _foreign("openai", special, "APIStatusError") + _of_httpx("HTTPStatusError")
    if base.code == "timeout":
        return _foreign("openai", "APITimeoutError") + _of_httpx("TimeoutException")
    if base is ConnectionError:
        more = _OS_ERRORS.get(detail)
        foreign = _foreign("openai", "APIConnectionError") + _of_httpx("ConnectError")
        return ((more,) if more and issubclass(more, builtins.ConnectionError) else ()) + foreign
    if base is OSError:
        more = _OS_ERRORS.get(detail)
        return (more,) if more and not issubclass(more, builtins.ConnectionError) else ()
    return ()


def _class_of(base: Type[InferenceError], kinds: Tuple[type, ...]) -> Type[InferenceError]:
    """`base` that is of these kinds too: a class of the same name, made once."""
    if not kinds:
        return base
    made = _joined.get((base,) + kinds)
    if made is None:
        # Theirs would want a response, a request: what they set is set by make().
        members = {"__module__": base.__module__, "__doc__": base.__doc__, "__reduce__": _reduce, "__init__": _init}
        try:
            made = type(base.__name__, (base,) + kinds, members)
        except TypeError:  # classes of another version, which do not go together with ours
            made = base
        made.__qualname__ = base.__qualname__
        _joined[(base,) + kinds] = made
    return made


def _init(self: InferenceError, message: str = "", *args: object) -> None:
    Exception.__init__(self, message, *args)


_PLAIN = ("code", "detail", "partial", "status_code", "body", "message")


def _rebuild(name: str, args: Tuple[Any, ...], state: Dict[str, Any]) -> InferenceError:
    """What was pickled, an instance of the classes that this program has imported."""
    base = _named(name)
    status, detail = state.get("status_code", 0), state.get("detail", 0)
    error = _class_of(base, _kinds(base, status, detail))(*args)
    for key, value in state.items():
        setattr(error, key, value)
    body = state.get("body", "")
    _complete(error, base, status, "", body.encode("utf-8", "replace") if isinstance(body, str) else b"")
    return error


def _reduce(self: InferenceError) -> Tuple[Any, ...]:
    kind = type(self)
    if kind.__module__ != __name__:  # a program's own subclass
        return Exception.__reduce__(self)  # type: ignore[return-value,unused-ignore]
    state = {key: vars(self)[key] for key in _PLAIN if key in vars(self)}
    return _rebuild, (kind.__name__, self.args, state)

def _describe(error: InferenceError, url: str, body: bytes, status: int) -> None:
    """The attributes that handlers written for httpx and openai read."""
    httpx = sys.modules.get("httpx") or sys.modules.get("httpx2")
    request = response = None
    if httpx is not None and hasattr(httpx, "Response"):
        try:
            request = httpx.Request("POST", url.partition(",")[0] or "http://localhost")
        except Exception:  # a URL that httpx does not take
            request = httpx.Request("POST", "http://localhost")
        if status:
            response = httpx.Response(status, content=body, request=request)
        setattr(error, "request", request)
    for name in ("param", "type", "request_id"):  # openai's classes declare them, and set them in __init__
        if "openai" in sys.modules and not hasattr(error, name):
            setattr(error, name, None)
    setattr(error, "message", str(error))
    if isinstance(error, HTTPStatusError):
        error.status_code = status
        error.body = body.decode("utf-8", "replace")
        error.response = response if response is not None else Response(status, body)


def _complete(error: InferenceError, base: Type[InferenceError], status: int, url: str, body: bytes) -> None:
    if isinstance(error, builtins.OSError) and error.detail > 0:
        error.errno = error.detail
    if status or base.code in ("http_status", "timeout", "connection"):
        _describe(error, url, body, status)


def make(
    code: int, message: str, status: int = 0, detail: int = 0, body: bytes = b"", url: str = ""
) -> BaseException:
    """The exception for an error of the C library."""
    if code == CANCELLED:
        import asyncio

        return asyncio.CancelledError(message)
    base = _named(_BY_CODE[code]) if 0 < code < len(_BY_CODE) else BackendError
    kinds = _kinds(base, status, detail)
    error = _class_of(base, kinds)(message)
    error.detail = detail
    _complete(error, base, status, url, body)
    return error
