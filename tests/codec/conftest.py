"""The codec's tests also run over every masking loop that the machine has, where a test asks for ``simd``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest


def _levels() -> tuple[str, ...]:
    """The loops of the fast twin; its absence is reported by the tests, not by their collection."""
    try:
        from bowstring.codec import _cython
    except ImportError:
        return ("portable",)
    return _cython.simd_levels()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "simd" in metafunc.fixturenames:
        metafunc.parametrize("simd", ("none", *_levels()), indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves the pairs of a twin and a loop that exist: the pure twin has none, the fast one always has one."""

    def exists(item: pytest.Item) -> bool:
        params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        return "simd" not in params or (params["twin"] == "python") == (params["simd"] == "none")

    items[:] = [item for item in items if exists(item)]


@pytest.fixture
def simd(request: pytest.FixtureRequest, twin: Any) -> Iterator[str]:
    """The masking loop in use, for the time of the test."""
    before = twin.simd_level()
    twin.set_simd_level(request.param)
    yield request.param
    twin.set_simd_level(before)


@pytest.fixture
def both(twin: Any) -> tuple[Any, Any]:
    """Both twins, the reference first, for tests that compare them."""
    if os.environ["BOWSTRING_NO_EXTENSIONS"] == "1":  # set by `twin`, the last of those that are tested
        pytest.skip("BOWSTRING_NO_EXTENSIONS=1: there is nothing to compare with")
    from bowstring.codec import _python

    return _python, twin
