"""What pyproject.toml cannot say: an extension that may be left out.

``BOWSTRING_NO_EXTENSIONS=1`` leaves it out; ``BOWSTRING_REQUIRE_EXTENSIONS=1`` makes it an error when it cannot be
compiled. With neither, the codec is then in pure Python, and one line says so.
"""

from __future__ import annotations

import os
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


def wanted(variable: str) -> bool:
    """Whether a switch of the environment is on: ``1``; off is ``0``, an empty string, or nothing at all."""
    value = os.environ.get(variable, "")
    if value not in {"", "0", "1"}:
        sys.exit(f"{variable} must be 0 or 1, not {value!r}")
    return value == "1"


def leave_out(reason: str) -> None:
    """The one line for a build without the extension."""
    print(f"bowstring: built in pure Python, without its extension: {reason}", file=sys.stderr)


NO_EXTENSIONS = wanted("BOWSTRING_NO_EXTENSIONS")
REQUIRE_EXTENSIONS = wanted("BOWSTRING_REQUIRE_EXTENSIONS")
if NO_EXTENSIONS and REQUIRE_EXTENSIONS:
    sys.exit("BOWSTRING_NO_EXTENSIONS and BOWSTRING_REQUIRE_EXTENSIONS are both set")

#: What the extension is made of besides its .pyx: a change of these builds it again.
PARTS = ("_bytes.h", "_cython.pxd", "_decoder.pxi", "_encoder.pxi", "_mask.h", "_text.h", "_utf8.h")

EXTENSION = Extension(
    "bowstring.codec._cython",
    ["src/bowstring/codec/_cython.pyx"],
    depends=[f"src/bowstring/codec/{part}" for part in PARTS],
    optional=not REQUIRE_EXTENSIONS,
)


class BuildExtension(build_ext):
    """Says when an optional extension could not be compiled; setuptools goes on without it."""

    def build_extension(self, ext: Extension) -> None:
        try:
            super().build_extension(ext)
        except Exception:
            if ext.optional:
                leave_out("it cannot be compiled")
            raise


extensions = [EXTENSION]
if NO_EXTENSIONS:
    leave_out("BOWSTRING_NO_EXTENSIONS is set")
    extensions = []
elif sys.implementation.name != "cpython" and not REQUIRE_EXTENSIONS:
    leave_out(f"it is slower than pure Python on {sys.implementation.name}")
    extensions = []

setup(cmdclass={"build_ext": BuildExtension}, ext_modules=extensions)
