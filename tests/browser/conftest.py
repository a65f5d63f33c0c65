"""One browser for each module of tests: its start takes longer than most tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .devtools import Browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.stop()
