"""The wheel that is installed here: its tag, what is inside, and that it is what is imported."""

import glob
import os
import re
import subprocess
import sys
import zipfile

import pytest

import inference

WHEEL = os.environ.get("INFERENCE_WHEEL")
pytestmark = pytest.mark.skipif(not WHEEL, reason="INFERENCE_WHEEL is not set")


@pytest.fixture(scope="module")
def wheel():
    with zipfile.ZipFile(WHEEL) as archive:
        yield archive


def test_it_is_the_only_one_and_is_imported():
    assert os.listdir(os.path.dirname(WHEEL)) == [os.path.basename(WHEEL)]
    assert os.path.dirname(inference.__file__).startswith(sys.prefix)
    maps = open("/proc/self/maps").read()
    inference.VLLMProvider().sync.list_adapters()
    maps = open("/proc/self/maps").read()
    loaded = set(re.findall(r"\S*/libinference\.so\S*", maps))
    assert loaded == {os.path.join(os.path.dirname(inference.__file__), "libinference.so")}
    curl = set(re.findall(r"\S*/libcurl\S*", maps))
    assert curl and all(path.startswith(sys.prefix) for path in curl), curl


def test_tag(wheel):
    assert re.fullmatch(r"libinference-[0-9.]+-py3-none-manylinux_2_\d+_(x86_64|aarch64)\.whl",
                        os.path.basename(WHEEL))
    metadata = wheel.read(next(n for n in wheel.namelist() if n.endswith("/METADATA"))).decode()
    assert "Requires-Python: >=3.9" in metadata
    assert "Requires-Dist" not in metadata
    assert "Version: " + inference.__version__ in metadata


def test_licences(wheel):
    names = wheel.namelist()
    assert any(n.endswith("licenses/LICENSE") for n in names)
    assert any(n.endswith("licenses/LICENSE-llama.cpp") for n in names)
    for package in ("libcurl4", "libjansson4", "libuv1", r"libunistring\d+"):
        assert any(re.search(r"licenses/%s(t64)?\.txt$" % package, n) for n in names), package
    assert len([n for n in names if "/licenses/" in n]) > len([n for n in names if ".libs/" in n]) / 2


def test_every_file_is_recorded(wheel):
    import base64
    import hashlib

    record = next(n for n in wheel.namelist() if n.endswith("/RECORD"))
    lines = dict(line.split(",", 1) for line in wheel.read(record).decode().splitlines())
    for name in wheel.namelist():
        if name != record and not name.endswith("/"):
            digest = base64.urlsafe_b64encode(hashlib.sha256(wheel.read(name)).digest()).rstrip(b"=").decode()
            assert lines[name].startswith("sha256=%s," % digest), name


def test_it_needs_no_library_from_outside_but_the_c_library():
    library = os.path.join(os.path.dirname(inference.__file__), "libinference.so")
    told = subprocess.run(["ldd", library], capture_output=True, text=True).stdout
    outside = {os.path.basename(path) for path in re.findall(r"=> (/\S+)", told) if not path.startswith(sys.prefix)}
    allowed = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libresolv.so.2", "libz.so.1",
               "ld-linux-x86-64.so.2", "libgcc_s.so.1"}
    assert "not found" not in told
    assert outside <= allowed, outside - allowed


def test_no_tests_and_no_sources_inside(wheel):
    for name in wheel.namelist():
        assert not re.search(r"(test|\.c$|\.h$|\.o$|CMake)", name), name
    assert glob.glob(os.path.join(os.path.dirname(inference.__file__), "py.typed"))
