"""Adapters from memory: bytes, arrays, tensors."""

import ctypes
import json
import os
import struct
from array import array

import pytest

import inference
from conftest import PIRATE, run

CHAT = [{"role": "user", "content": "What is rain?"}]


def files():
    with open(os.path.join(PIRATE, "adapter_model.safetensors"), "rb") as f:
        weights = f.read()
    with open(os.path.join(PIRATE, "adapter_config.json"), encoding="utf-8") as f:
        config = json.load(f)
    return weights, config


def arrays(make):
    """The adapter's tensors; each value, which is a bfloat16 in the file, as a float32."""
    weights, _ = files()
    (n,) = struct.unpack_from("<Q", weights)
    header = json.loads(weights[8 : 8 + n])
    out = {}
    for name, entry in header.items():
        if name != "__metadata__":
            assert entry["dtype"] == "BF16"
            begin, end = entry["data_offsets"]
            raw = weights[8 + n + begin : 8 + n + end]
            wide = bytearray(2 * len(raw))
            wide[2::4], wide[3::4] = raw[::2], raw[1::2]
            out[name] = make(entry["shape"], bytes(wide), raw)
    return out


def answer(local, **more):
    return run(local.generate("", "m", messages=CHAT, max_tokens=8, temperature=0, **more)).text


@pytest.fixture(scope="module")
def piratical(local):
    run(local.load_adapter("from-path", PIRATE))
    text = answer(local, adapter_id="from-path")
    run(local.unload_adapter("from-path"))
    assert text != answer(local)
    return text


def load(local, source, config):
    report = run(local.load_adapter("memory", source, config=config))
    assert report.adapter_id == "memory" and report.rank == 8
    text = answer(local, adapter_id="memory")
    run(local.unload_adapter("memory"))
    return text


def test_bytes(local, piratical):
    weights, config = files()
    for source in (weights, bytearray(weights), memoryview(weights)):
        assert load(local, source, config) == piratical
    assert load(local, weights, json.dumps(config)) == piratical
    assert load(local, weights, json.dumps(config).encode()) == piratical
    assert local.sync.load_adapter("memory", weights, config=config).rank == 8
    local.sync.unload_adapter("memory")


class Array:
    """Anything with the buffer protocol and a dtype name."""

    class dtype:
        name = "float32"

    def __init__(self, shape, raw):
        self.shape = shape
        self.raw = memoryview(raw)

    def tobytes(self):
        return self.raw.tobytes()


class Half(Array):
    class dtype:
        name = "bfloat16"


def test_dict_of_plain_arrays(local, piratical):
    assert load(local, arrays(lambda shape, wide, raw: Array(shape, wide)), files()[1]) == piratical
    assert load(local, arrays(lambda shape, wide, raw: Half(shape, raw)), files()[1]) == piratical
    views = arrays(lambda shape, wide, raw: memoryview(wide).cast("f", shape))
    assert load(local, views, files()[1]) == piratical
    in_c = {k: memoryview((ctypes.c_float * v.shape[1] * v.shape[0]).from_buffer_copy(v)) for k, v in views.items()}
    assert in_c and all(v.format == "<f" for v in in_c.values()) and load(local, in_c, files()[1]) == piratical
    doubles = {k: memoryview(array("d", v.cast("B").cast("f")).tobytes()).cast("d", v.shape) for k, v in views.items()}
    assert load(local, doubles, files()[1]) == piratical


def numpy_arrays(numpy):
    return arrays(lambda shape, wide, raw: numpy.frombuffer(wide, dtype="float32").reshape(shape))


def test_numpy(local, piratical):
    numpy = pytest.importorskip("numpy")
    made = numpy_arrays(numpy)
    assert load(local, made, files()[1]) == piratical
    # not contiguous: the same values, other strides
    assert load(local, {k: v.T.copy().T for k, v in made.items()}, files()[1]) == piratical
    assert load(local, {k: v.astype("float64") for k, v in made.items()}, files()[1]) == piratical
    for order in (">f4", ">f8"):
        assert load(local, {k: v.astype(order) for k, v in made.items()}, files()[1]) == piratical
    assert load(local, {k: numpy.ma.array(v) for k, v in made.items()}, files()[1]) == piratical
    with pytest.raises(ValueError, match="masked"):
        load(local, {k: numpy.ma.array(v, mask=v == v.max()) for k, v in made.items()}, files()[1])


class Tensor:
    """What is used of a torch tensor."""

    requires_grad = True

    def __init__(self, array, dtype="torch.float32"):
        self.array, self.dtype = array, dtype

    def detach(self):
        found = Tensor(self.array, self.dtype)
        found.requires_grad = False
        return found

    def cpu(self):
        return self

    def float(self):
        found = Tensor(self.array.astype("float32"), "torch.float32")
        found.requires_grad = self.requires_grad
        return found

    def numpy(self):
        if self.requires_grad or self.dtype == "torch.bfloat16":
            raise TypeError("call detach() first, and numpy has no bfloat16")
        return self.array


def test_tensors_by_their_own_numpy(local, piratical):
    made = numpy_arrays(pytest.importorskip("numpy"))
    for dtype in ("torch.bfloat16", "torch.float32"):
        assert load(local, {k: Tensor(v, dtype) for k, v in made.items()}, files()[1]) == piratical


def test_what_is_wrong_is_said(local):
    weights, config = files()

    def refuse(error, source, config=None, match=None):
        with pytest.raises(error, match=match):
            run(local.load_adapter("memory", source, config=config))

    refuse(ValueError, weights, None, "config")
    refuse(ValueError, PIRATE, config, "config")
    refuse(ValueError, weights[:100], config)
    refuse(ValueError, {"a": [1.0, 2.0]}, config, "dtype")
    refuse(ValueError, weights, "{")
    refuse(TypeError, {5: Array([1], b"\0\0\0\0")}, config)
    refuse(TypeError, 5)
    refuse(TypeError, weights, [1], "LoraConfig")
    refuse(ValueError, {"a": Array([2], b"\0\0\0\0")}, config, "bytes for shape")
    refuse(ValueError, {}, config)
    assert run(local.list_adapters()) == []


def test_non_finite_weights_are_refused(local):
    nan = arrays(lambda shape, wide, raw: Array(shape, b"\x00\x00\xc0\x7f" + wide[4:]))
    with pytest.raises(inference.NotFiniteError):
        run(local.load_adapter("memory", nan, config=files()[1]))


def test_many_short_lived_adapters(local):
    weights, config = files()

    async def main():
        import asyncio

        async def one(i):
            name = "made-%d" % i
            await local.load_adapter(name, weights, config=config)
            result = await local.generate("Hi", "m", adapter_id=name, adapter_scale=i / 8, max_tokens=2)
            await local.unload_adapter(name)
            return result.adapters[0]

        used = await asyncio.gather(*[one(i) for i in range(16)])
        assert [u.scale for u in used] == [i / 8 for i in range(16)]
        assert await local.list_adapters() == []

    run(main())
    assert local.stats().adapter_bytes == 0
