"""One browser for all tests: its start takes longer than most of them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest
import trustme

from .devtools import Browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.stop()


@pytest.fixture(scope="session")
def server_tls() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context
