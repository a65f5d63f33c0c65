"""Which twin is behind ``bowstring.codec``, and why: in programs of their own, as the environment says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import bowstring

pytestmark = pytest.mark.one_twin

REPORT = """
from bowstring import codec
print(codec.IMPLEMENTATION, codec.simd_level(), codec.FALLBACK_REASON, sep="|")
"""

#: The extension is there, and cannot be imported.
BROKEN = "import sys; sys.modules['bowstring.codec._cython'] = None\n"
BROKEN_REASON = "the extension cannot be loaded: "


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    names = ("BOWSTRING_NO_EXTENSIONS", "BOWSTRING_REQUIRE_EXTENSIONS", "BOWSTRING_SIMD")
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    inherited["PYTHONPATH"] = str(Path(bowstring.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-c", program], env=inherited | environment, capture_output=True, text=True, timeout=30
    )


def report(program: str = REPORT, **environment: str) -> list[str]:
    """Implementation, level and reason; nothing else may have been printed."""
    done = run(program, **environment)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.removesuffix("\n").split("|")


def failure(program: str = REPORT, **environment: str) -> str:
    """The last line of the traceback."""
    done = run(program, **environment)
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr.splitlines()[-1]


def test_pure_when_told_so() -> None:
    expected = ["python", "none", "BOWSTRING_NO_EXTENSIONS is set"]
    assert report(BOWSTRING_NO_EXTENSIONS="1") == expected
    assert report(BOWSTRING_NO_EXTENSIONS="1", BOWSTRING_REQUIRE_EXTENSIONS="0") == expected


def test_fast_by_itself(both: tuple[Any, Any]) -> None:
    best = both[1].simd_levels()[0]
    assert report() == ["cython", best, ""]
    for off in ("0", ""):
        assert report(BOWSTRING_NO_EXTENSIONS=off, BOWSTRING_REQUIRE_EXTENSIONS=off) == ["cython", best, ""]
    assert report(BOWSTRING_REQUIRE_EXTENSIONS="1") == ["cython", best, ""]


def test_both_switches_are_an_error() -> None:
    assert failure(BOWSTRING_NO_EXTENSIONS="1", BOWSTRING_REQUIRE_EXTENSIONS="1") == (
        "ImportError: BOWSTRING_NO_EXTENSIONS and BOWSTRING_REQUIRE_EXTENSIONS are both set"
    )


@pytest.mark.parametrize("name", ["BOWSTRING_NO_EXTENSIONS", "BOWSTRING_REQUIRE_EXTENSIONS"])
@pytest.mark.parametrize("value", ["2", "true", "yes", " 1", "no"])
def test_other_values_are_an_error(name: str, value: str) -> None:
    assert failure(**{name: value}) == f"ImportError: {name} must be 0 or 1, not {value!r}"


def test_pure_when_the_extension_cannot_be_loaded() -> None:
    implementation, level, reason = report(BROKEN + REPORT)
    assert (implementation, level) == ("python", "none")
    assert reason.startswith(BROKEN_REASON)
    assert "_cython" in reason


def test_an_error_when_it_is_required_and_cannot_be_loaded() -> None:
    text = failure(BROKEN + REPORT, BOWSTRING_REQUIRE_EXTENSIONS="1")
    assert text.startswith("ImportError: BOWSTRING_REQUIRE_EXTENSIONS is set, and the extension cannot be loaded: ")


def test_a_level_by_the_environment(both: tuple[Any, Any]) -> None:
    for name in both[1].simd_levels():
        assert report(BOWSTRING_SIMD=name) == ["cython", name, ""]
    assert report(BOWSTRING_SIMD="") == ["cython", both[1].simd_levels()[0], ""]


def test_a_level_that_there_is_not(both: tuple[Any, Any]) -> None:
    levels = ", ".join(both[1].simd_levels())
    text = f"BOWSTRING_SIMD: SIMD level must be one of {levels}, not 'mmx'"
    assert report(BOWSTRING_SIMD="mmx") == ["python", "none", f"the extension cannot be loaded: {text}"]
    assert failure(BOWSTRING_SIMD="mmx", BOWSTRING_REQUIRE_EXTENSIONS="1").endswith(text)
    assert report(BOWSTRING_SIMD="mmx", BOWSTRING_NO_EXTENSIONS="1")[0] == "python"
