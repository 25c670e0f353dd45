"""An adapter in memory as the C library takes it: the bytes of a safetensors or GGUF file, and its config.

Owns: writing safetensors from arrays. An array is anything with the buffer protocol and a dtype that has a
name, numpy's for instance, or a torch tensor by its own numpy(), or a memoryview with a shape. None of them
is imported.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from array import array
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ._types import Config, Source
from .exceptions import InvalidArgumentError

_DTYPES = {
    "float32": ("F32", 4),
    "float16": ("F16", 2),
    "bfloat16": ("BF16", 2),
    "int64": ("I64", 8),
    "int32": ("I32", 4),
    "int16": ("I16", 2),
    "int8": ("I8", 1),
    "uint8": ("U8", 1),
    "bool": ("BOOL", 1),
}


def _plain(name: str, value: Any) -> Any:
    """A torch tensor's own numpy array; anything else as it is."""
    if not callable(getattr(value, "numpy", None)):
        return value
    try:
        for method in ("detach", "cpu"):
            if callable(getattr(value, method, None)):
                value = getattr(value, method)()
        if str(getattr(value, "dtype", "")).endswith("bfloat16"):  # numpy has none; float32 holds each value
            value = value.float()
        return value.numpy()
    except Exception as error:  # of a device that holds no data, in a dtype that numpy does not have
        raise InvalidArgumentError("adapter: %s: numpy() fails: %s" % (name, error)) from error


_FORMATS = {"e": "float16", "f": "float32", "d": "float64"}


def _dtype_name(name: str, given: Any) -> str:
    dtype = getattr(given, "dtype", None)
    if dtype is None and isinstance(given, memoryview):
        letter = given.format.lstrip("@=<" if sys.byteorder == "little" else "@=>")  # ctypes' arrays say "<f"
        dtype = _FORMATS.get(letter, given.format)
    if dtype is None:
        raise InvalidArgumentError(
            "adapter: %s: %s is no array with a dtype; give numpy arrays or torch tensors"
            % (name, type(given).__name__)
        )
    return str(getattr(dtype, "name", dtype)).rpartition(".")[2]


def _bytes_of(name: str, given: Any) -> bytes:
    try:
        view = memoryview(given)
    except (TypeError, ValueError, BufferError):
        tobytes = getattr(given, "tobytes", None)  # ml_dtypes' bfloat16 exports no buffer
        if not callable(tobytes):
            raise InvalidArgumentError(
                "adapter: %s: %s has no buffer" % (name, type(given).__name__)
            ) from None
        raw: Any = tobytes()
        return bytes(raw)
    return view.tobytes()


class _Narrowed:
    """float64 as float32."""

    def __init__(self, shape: Any, values: array[float]) -> None:
        self.shape = shape
        self.tobytes = values.tobytes


def _narrowed(given: Any) -> Any:
    astype = getattr(given, "astype", None)
    if callable(astype):
        return astype("float32")
    return _Narrowed(given.shape, array("f", memoryview(given.tobytes()).cast("d")))


def _tensor(name: str, value: Any) -> Tuple[str, List[int], bytes]:
    given = _plain(name, value)
    dtype = _dtype_name(name, given)
    if hasattr(given, "filled") and given.mask.any():  # of numpy.ma
        raise InvalidArgumentError("adapter: %s: has masked numbers; give its filled(), or its data" % name)
    if getattr(getattr(given, "dtype", None), "byteorder", "=") == ">":
        given = given.astype(dtype)  # in this machine's order
    if dtype == "float64":  # numpy's default; adapters are held in 16 or 32 bits anyway
        dtype, given = "float32", _narrowed(given)
    if dtype not in _DTYPES:
        raise InvalidArgumentError("adapter: %s: dtype %s; convert it to float32 or float16" % (name, dtype))
    code, width = _DTYPES[dtype]
    raw = _bytes_of(name, given)
    shape = [int(n) for n in given.shape]
    size = width
    for n in shape:
        size *= n
    if size != len(raw):
        raise InvalidArgumentError(
            "adapter: %s: %d bytes for shape %s of %s" % (name, len(raw), tuple(shape), dtype)
        )
    return code, shape, raw


def safetensors(arrays: Mapping[str, Any]) -> bytes:
    header: Dict[str, Any] = {}
    pieces: List[bytes] = []
    offset = 0
    for name, value in arrays.items():
        if not isinstance(name, str):
            raise TypeError("adapter: names of arrays must be str, not %s" % type(name).__name__)
        code, shape, raw = _tensor(name, value)
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [offset, offset + len(raw)]}
        pieces.append(raw)
        offset += len(raw)
    encoded = json.dumps(header, ensure_ascii=False).encode("utf-8", "surrogatepass")
    encoded += b" " * (-len(encoded) % 8)
    return b"".join([struct.pack("<Q", len(encoded)), encoded] + pieces)


def config_bytes(config: Optional[Config]) -> Optional[bytes]:
    if config is None or isinstance(config, bytes):
        return config
    if isinstance(config, str):
        return config.encode("utf-8", "surrogatepass")
    to_dict = getattr(config, "to_dict", None)  # peft's LoraConfig
    value = to_dict() if callable(to_dict) else config
    if not isinstance(value, Mapping):
        raise TypeError("config must be a dict, a JSON text or a LoraConfig, not %s" % type(config).__name__)
    return json.dumps(dict(value), default=_json_default).encode("utf-8", "surrogatepass")


def _json_default(value: Any) -> Any:
    """peft's configs hold sets and enumerations."""
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if hasattr(value, "value"):
        return value.value
    raise TypeError("adapter: config: %s is no JSON" % type(value).__name__)


def source(given: Source, config: Optional[Config]) -> Tuple[Optional[str], Optional[bytes], Optional[bytes]]:
    """(path, None, None), or (None, weights, config)."""
    if isinstance(given, Mapping):
        weights = safetensors(given)
    elif isinstance(given, (bytes, bytearray, memoryview)):
        weights = bytes(given)
    else:
        if config is not None:
            raise InvalidArgumentError("config: goes with weights from memory; a directory has its own")
        path = os.fspath(given)
        if not isinstance(path, str):
            raise TypeError("adapter_path must be str, a path, bytes or a dict of arrays")
        return path, None, None
    if config is None and weights[:4] != b"GGUF":
        raise InvalidArgumentError("config: weights from memory need the adapter's config (r, lora_alpha, ...)")
    return None, weights, config_bytes(config)
