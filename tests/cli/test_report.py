"""``bowstring report``."""

from __future__ import annotations

import json
import platform

import pytest

from bowstring import __version__, codec

from .conftest import Run


def test_report(run: Run) -> None:
    status, out, err = run("report")
    assert (status, err) == (0, "")
    rows = dict(line.split(None, 1) for line in out.decode().splitlines())
    assert rows["bowstring"] == __version__
    assert rows["codec"] == codec.IMPLEMENTATION
    assert rows["SIMD"].startswith(codec.simd_level())
    assert rows["Python"].startswith(f"{platform.python_implementation()} {platform.python_version()}")
    assert rows["h11"][0].isdigit()
    assert {"uvloop", "zlib", "OpenSSL", "platform"} <= set(rows)
    # The suite chooses the pure twin by this switch, and a reason stands there only for the pure twin.
    assert rows.get("why") == (None if codec.IMPLEMENTATION == "cython" else "BOWSTRING_NO_EXTENSIONS is set")


def test_report_for_programs(run: Run) -> None:
    status, out, _ = run("report", "--json")
    assert status == 0
    report = json.loads(out)
    assert report["codec"] == {
        "implementation": codec.IMPLEMENTATION,
        "fallback_reason": "" if codec.IMPLEMENTATION == "cython" else "BOWSTRING_NO_EXTENSIONS is set",
        "simd_level": codec.simd_levels()[0],
        "simd_levels": list(codec.simd_levels()),
        "error": "",
    }
    assert report["python"]["version"] == platform.python_version()
    assert report["python"]["gil"] in {True, False}
    assert report["packages"]["h11"]


@pytest.mark.one_twin
def test_report_without_any_codec(run: Run) -> None:
    both = {"BOWSTRING_NO_EXTENSIONS": "1", "BOWSTRING_REQUIRE_EXTENSIONS": "1"}
    status, out, err = run("report", env=both)
    assert (status, err) == (1, "")
    assert "none: BOWSTRING_NO_EXTENSIONS and BOWSTRING_REQUIRE_EXTENSIONS are both set" in out.decode()
    assert json.loads(run("report", "--json", env=both).out)["codec"]["implementation"] is None
    status, _, err = run("demo", env=both)
    assert (status, err) == (
        1,
        "bowstring: BOWSTRING_NO_EXTENSIONS and BOWSTRING_REQUIRE_EXTENSIONS are both set\n",
    )
