"""The package's tables against the header: sizes, offsets, types of fields, enumerators, functions."""

import ctypes
import os
import re
import shutil
import subprocess

import pytest

from conftest import ROOT
from inference import _abi, _library, ollama_provider, vllm_provider

HEADER = os.path.join(ROOT, "include", "inference", "inference.h")
PROGRAM = """
#include <inference/inference.h>
#include <stdio.h>
#define F(s, path, name) printf("%%s %%s %%zu %%zu\\n", #s, name, offsetof(s, path), sizeof(((s *)0)->path));
int main(void) {
%s
    return 0;
}
"""
NESTED = {"inf_event": {"text": "chunk.text", "reasoning": "chunk.reasoning", "n_tokens": "chunk.n_tokens",
                        "tool_calls": "chunk.tool_calls", "n_tool_calls": "chunk.n_tool_calls"},
          "inf_result": {name: "timings." + name for name in
                         ("queued_us", "load_us", "prefill_us", "first_token_us", "decode_us", "total_us")}}


def members(layout):
    """(name in the table, path in C)"""
    for name in layout.offsets:
        if layout.name == "inf_text":
            yield name, {"data": "data", "data_len": "len"}[name]
            continue
        base = re.sub("(_set|_len)$", "", name)
        if base != name and base in layout.offsets:
            path = NESTED.get(layout.name, {}).get(base, base)
            yield name, path + (".is_set" if name.endswith("_set") else ".len")
        else:
            path = NESTED.get(layout.name, {}).get(name, name)
            if name + "_set" in layout.offsets:
                path += ".value"
            elif name + "_len" in layout.offsets:
                path += ".data"
            yield name, path


def test_every_field_is_where_the_compiler_puts_it(tmp_path):
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if not compiler:
        pytest.skip("no C compiler here")
    lines = []
    for layout in _abi.LAYOUTS:
        lines.append('printf("%s - 0 %%zu\\n", sizeof(%s));' % (layout.name, layout.name))
        lines += ['F(%s, %s, "%s")' % (layout.name, path, name) for name, path in members(layout)]
    source = tmp_path / "offsets.c"
    source.write_text(PROGRAM % "\n".join(lines))
    program = tmp_path / "offsets"
    subprocess.run([compiler, "-I", os.path.join(ROOT, "include"), "-o", program, source], check=True)
    told = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    by_name = {layout.name: layout for layout in _abi.LAYOUTS}
    n = 0
    for line in told.splitlines():
        struct, name, offset, size = line.split()
        layout = by_name[struct]
        if name == "-":
            assert layout.size == int(size) == ctypes.sizeof(layout.type) == layout.read.size, struct
            continue
        field = getattr(layout.type, name)
        assert (layout.offsets[name], field.offset, field.size) == (int(offset), int(offset), int(size)), line
        n += 1
    assert n > 200


def test_every_struct_has_all_its_fields():
    """A field that the header gained is missed here, not by a user."""
    with open(HEADER, encoding="utf-8") as f:
        header = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    for layout in _abi.LAYOUTS:
        if layout.name in ("inf_event", "inf_text"):
            continue
        body = re.search(r"typedef struct %s \{(.*?)\} %s;" % (layout.name, layout.name), header, re.S).group(1)
        names = re.findall(r"(\w+)(?:\[\d+\])?;", body)
        known = set(layout.offsets) | {"timings"}
        assert set(names) <= known, (layout.name, set(names) - known)


def library():
    return ctypes.CDLL(_library._path())


def test_enumerators():
    functions = library()
    value = ctypes.c_int32()
    n = 0
    for name, ours in vars(_abi).items():
        if re.fullmatch("(DELIVERY|EVENT|LOG|PROVIDER)_[A-Z]+", name) and isinstance(ours, int):
            assert functions.inf_enum_value(b"INF_" + name.encode(), ctypes.byref(value)), name
            assert value.value == ours, name
            n += 1
    assert n == 12


def test_functions_are_declared_as_the_header_declares_them():
    with open(HEADER, encoding="utf-8") as f:
        header = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    declared = {}
    for result, name, arguments in re.findall(r"INF_API\s+([^;()]*?[ *])(inf_\w+)\(([^;]*?)\);", header, re.S):
        declared[name[4:]] = (code_of(result), "".join(code_of(a) for a in arguments.split(",")).replace("v", ""))
    n = 0
    for line in _abi._FUNCTIONS.split("\n"):
        if line:
            name, _, signature = line.partition(" ")
            arguments, _, result = signature.lstrip("!").partition(":")
            assert declared[name.rpartition("=")[2]] == (result.replace("R", "T"), arguments), name
            n += 1
    assert n > 35


def code_of(text):
    text = " ".join(text.split())
    if "const char *" in text:
        return "s"
    if "*" in text:
        return "p"
    for word, code in (("inf_text", "T"), ("size_t", "z"), ("int32_t", "i"), ("int64_t", "q"), ("bool", "b"),
                       ("int ", "i"), ("int", "i"), ("void", "v")):
        if text.startswith(word):
            return code
    return "?"


def test_default_urls():
    functions = library()
    layout = _abi.PROVIDER_INFO
    for kind, url in ((_abi.PROVIDER_VLLM, vllm_provider.DEFAULT_URL),
                      (_abi.PROVIDER_OLLAMA, ollama_provider.DEFAULT_URL)):
        buffer = ctypes.create_string_buffer(layout.size)
        functions.inf_provider_type_info(buffer, ctypes.c_size_t(layout.size), ctypes.c_int32(kind))
        address = layout.read.unpack(buffer)[layout.index["default_url"]]
        assert ctypes.string_at(address).decode() == url


def test_version():
    import inference

    assert _library.library().functions.version_string().decode() == inference.__version__
