"""A build backend (PEP 517, PEP 660) that needs nothing but Python."""

import base64
import hashlib
import os
import sys
import zipfile

MODULE = @MODULE@
VERSION = @VERSION@
METADATA = @METADATA@
ENTRY_POINTS = @ENTRY_POINTS@
FAILURE = @FAILURE@

NAME = MODULE + "-" + VERSION
INFO = NAME + ".dist-info"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def information():
    files = {INFO + "/METADATA": METADATA.encode(), INFO + "/WHEEL": WHEEL.encode()}
    if ENTRY_POINTS:
        files[INFO + "/entry_points.txt"] = ENTRY_POINTS.encode()
    return files


def sources(root):
    """What lies in the project's directories."""
    files = {}
    for directory, names, leaves in os.walk(root):
        names[:] = sorted(n for n in names if not n.startswith(".") and n != "__pycache__")
        for leaf in sorted(leaves):
            path = os.path.join(directory, leaf)
            inside = os.path.relpath(path, root).replace(os.sep, "/")
            if "/" in inside:
                with open(path, "rb") as file:
                    files[inside] = file.read()
    return files


def write(directory, files):
    rows = ""
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        rows += "%s,sha256=%s,%d\n" % (path, digest, len(content))
    files[INFO + "/RECORD"] = (rows + INFO + "/RECORD,,\n").encode()
    name = NAME + "-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o100644 << 16
            wheel.writestr(entry, content)
    return name


def fail():
    if FAILURE is not None:
        print(FAILURE, file=sys.stderr, flush=True)
        sys.exit(1)


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    os.makedirs(os.path.join(metadata_directory, INFO), exist_ok=True)
    for path, content in information().items():
        with open(os.path.join(metadata_directory, path), "wb") as file:
            file.write(content)
    return INFO


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    fail()
    return write(wheel_directory, {**sources(os.getcwd()), **information()})


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    fail()
    path = {MODULE + ".pth": (os.getcwd() + "\n").encode()}
    return write(wheel_directory, {**path, **information()})
