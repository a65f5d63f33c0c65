"""What every test runs in: over both twins, coroutines on an event loop of their own, with a limit of time."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import ssl
from typing import Any

import pytest
import trustme

from bowstring import codec

TIMEOUT = 30.0  # seconds for one coroutine test; far more than any takes

#: The names that the door ``bowstring.codec`` takes from a twin: what ``twin`` exchanges.
TWIN_NAMES = (
    "IMPLEMENTATION",
    "Frame",
    "FrameDecoder",
    "Utf8Validator",
    "apply_mask",
    "encode_frame",
    "encode_frames",
    "mask_in_place",
    "set_simd_level",
    "simd_level",
    "simd_levels",
)


def _twins() -> list[str]:
    """Both twins; an absent extension is left out only where BOWSTRING_NO_EXTENSIONS=1 says that it shall be."""
    return ["python"] if os.environ.get("BOWSTRING_NO_EXTENSIONS") == "1" else ["python", "cython"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "one_twin: does not depend on the codec; runs once")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "twin" in metafunc.fixturenames:
        once = metafunc.definition.get_closest_marker("one_twin") is not None
        metafunc.parametrize("twin", _twins()[-1:] if once else _twins(), indirect=True)


@pytest.fixture(autouse=True)
def twin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The twin's module, also put behind the door ``bowstring.codec`` for the time of the test."""
    name: str = request.param
    module = importlib.import_module(f"bowstring.codec._{name}")
    for attribute in TWIN_NAMES:
        monkeypatch.setattr(codec, attribute, getattr(module, attribute))
    # Programs that a test starts choose the same twin.
    monkeypatch.setenv("BOWSTRING_NO_EXTENSIONS", "1" if name == "python" else "0")
    monkeypatch.setenv("BOWSTRING_REQUIRE_EXTENSIONS", "0" if name == "python" else "1")
    return module


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a coroutine test to its end, and fails it when tasks of it are left over."""
    if not inspect.iscoroutinefunction(pyfuncitem.function):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    async def body() -> None:
        async with asyncio.timeout(TIMEOUT):
            await pyfuncitem.obj(**arguments)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:  # the loop's own may need another turn to end
            _, left = await asyncio.wait(left, timeout=1)
        assert not left, f"tasks left over: {left}"

    with asyncio.Runner(loop_factory=pyfuncitem.funcargs.get("loop_factory")) as runner:
        runner.run(body())
    return True


@pytest.fixture(scope="session")
def certificates() -> tuple[trustme.CA, trustme.LeafCert]:
    """An authority of the tests' own, and its certificate for this machine."""
    authority = trustme.CA()
    return authority, authority.issue_cert("localhost", "127.0.0.1", "::1")


@pytest.fixture(scope="session")
def tls(certificates: tuple[trustme.CA, trustme.LeafCert]) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts for a server at localhost, and for clients that trust it."""
    authority, certificate = certificates
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client
