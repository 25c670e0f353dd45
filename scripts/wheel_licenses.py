#!/usr/bin/env python3
"""Put the licences of the shared libraries inside a repaired wheel into it: wheel_licenses.py BUILD WHEEL.

BUILD is CMake's folder with libinference.so, whose libraries auditwheel copied: which file each was, and so
which Debian package, is asked here. A library without a licence is an error. A library's page may refer to
the common licences of Debian: those come along too.
"""

import base64
import glob
import hashlib
import os
import re
import subprocess
import sys
import zipfile

COMMON = "/usr/share/common-licenses/"
LINKED_IN = ["libstdc++6"]  # the C++ runtime is inside libinference.so


def original_files(build):
    """SONAME without its versions: the file."""
    library = max(glob.glob(build + "/libinference.so*"), key=len)
    found = {}
    for line in subprocess.check_output(["ldd", library], text=True).splitlines():
        match = re.match(r"\s*(\S+) => (\S+)", line)
        if match:
            found[stem(match.group(1))] = os.path.realpath(match.group(2))
    return found


def stem(name):
    return re.sub(r"\.so.*", "", name)


def package_of(path):
    candidates = {path, path[4:] if path.startswith("/usr/") else "/usr" + path}
    for candidate in sorted(candidates):
        asked = subprocess.run(["dpkg", "-S", candidate], capture_output=True, text=True)
        if asked.returncode == 0:
            return asked.stdout.split(":")[0]
    sys.exit("wheel_licenses: no Debian package has %s" % path)


def licences(wheel_names, build):
    """Path in dist-info/licenses: bytes."""
    files = original_files(build)
    packages = set(LINKED_IN)
    for name in wheel_names:
        base = stem(re.sub(r"-[0-9a-f]{8}\.", ".", os.path.basename(name), count=1))  # auditwheel's hash
        if base not in files:
            sys.exit("wheel_licenses: it is not known where %s came from" % name)
        packages.add(package_of(files[base]))
    out = {}
    for package in sorted(packages):
        with open("/usr/share/doc/%s/copyright" % package, "rb") as f:
            out["licenses/%s.txt" % package] = f.read()
    for text in list(out.values()):
        for common in re.findall(COMMON.encode() + rb"([A-Za-z0-9.-]*[A-Za-z0-9])", text):
            path = COMMON + common.decode()
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    out["licenses/common/%s.txt" % common.decode()] = f.read()
    return out


def record_line(name, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return "%s,sha256=%s,%d\n" % (name, digest, len(data))


def main():
    build, path = sys.argv[1:]
    with zipfile.ZipFile(path) as wheel:
        members = [(info, wheel.read(info)) for info in wheel.infolist()]
    names = [info.filename for info, _ in members]
    record = next(n for n in names if n.endswith(".dist-info/RECORD"))
    added = licences([n for n in names if ".libs/" in n and ".so" in n], build)
    if not added:
        sys.exit("wheel_licenses: %s has no libraries inside; was it repaired?" % path)
    folder = os.path.dirname(record)
    with zipfile.ZipFile(path + ".new", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
        lines = ""
        for info, data in members:
            if info.filename == record:
                lines = data.decode()
            else:
                wheel.writestr(info, data, zipfile.ZIP_DEFLATED)
        for name, data in sorted(added.items()):
            info = zipfile.ZipInfo("%s/%s" % (folder, name), date_time=(1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            wheel.writestr(info, data, zipfile.ZIP_DEFLATED)
            lines = record_line(info.filename, data) + lines
        info = zipfile.ZipInfo(record, date_time=(1980, 1, 1, 0, 0, 0))
        info.external_attr = 0o644 << 16
        wheel.writestr(info, lines, zipfile.ZIP_DEFLATED)
    os.replace(path + ".new", path)


main()
