"""The one thing that pyproject.toml cannot say: an extension that may be left out.

``BOWSTRING_NO_EXTENSIONS=1`` leaves it out, ``BOWSTRING_REQUIRE_EXTENSIONS=1`` makes a failing compiler an error.
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


NO_EXTENSIONS = wanted("BOWSTRING_NO_EXTENSIONS")
REQUIRE_EXTENSIONS = wanted("BOWSTRING_REQUIRE_EXTENSIONS")
if NO_EXTENSIONS and REQUIRE_EXTENSIONS:
    sys.exit("BOWSTRING_NO_EXTENSIONS and BOWSTRING_REQUIRE_EXTENSIONS are both set")


#: What the extension is made of besides its .pyx: a change of these builds it again.
PARTS = ("_bytes.h", "_cython.pxd", "_decoder.pxi", "_encoder.pxi", "_mask.h", "_text.h", "_utf8.h")


class BuildExtension(build_ext):
    """Says in one line when the extension could not be built."""

    def build_extension(self, ext: Extension) -> None:
        try:
            super().build_extension(ext)
        except Exception as exc:
            if not REQUIRE_EXTENSIONS:
                print(f"bowstring: {ext.name} is left out, the pure Python codec is in use: {exc}", file=sys.stderr)
            raise


if NO_EXTENSIONS:
    print("bowstring: built without its extension (BOWSTRING_NO_EXTENSIONS=1)", file=sys.stderr)

setup(
    cmdclass={"build_ext": BuildExtension},
    ext_modules=[]
    if NO_EXTENSIONS
    else [
        Extension(
            "bowstring.codec._cython",
            ["src/bowstring/codec/_cython.pyx"],
            depends=[f"src/bowstring/codec/{name}" for name in PARTS],
            optional=not REQUIRE_EXTENSIONS,
        )
    ],
)
