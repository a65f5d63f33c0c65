"""``bowstring serve`` and ``bowstring demo``: from the first line to the signal that ends them."""

from __future__ import annotations

import signal
import socket
import ssl
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bowstring import InvalidStatus, codec, connect

from .conftest import Certificates, Run, Start

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


async def test_echo(start: Start) -> None:
    with start("serve", "--echo", "--port", 0) as program:
        banner = program.line()
        assert banner.startswith("Echo server on ws://127.0.0.1:")
        async with connect(f"{banner.split()[3]}where?x=1") as ws:
            for message in ("text 🏹", b"\x00\x01", "", "x" * 100_000):
                await ws.send(message)
                assert await ws.recv() == message
            await ws.close(1000, "enough")
        port = ws.local_address[1] if ws.local_address else None
        assert program.error().endswith(" opened /where?x=1")
        closed = program.error()
        assert closed.endswith(" closed with 1000 (enough)")
        assert port is None or f":{port} " in closed


async def test_echo_over_tls(start: Start, certificates: Certificates) -> None:
    key = ("--key", certificates.key)
    with start("serve", "--echo", "--port", 0, "--cert", certificates.server, *key) as program:
        url = program.line().split()[3]
        assert url.startswith("wss://")
        async with connect(url, ssl=ssl.create_default_context(cafile=certificates.ca)) as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"


@pytest.mark.one_twin
async def test_pages_from_elsewhere(start: Start) -> None:
    for given, origin, welcome in (
        ((), "https://example.com", False),
        (("--origin", "https://example.com"), "https://example.com", True),
        (("--origin", "https://example.com"), "https://example.org", False),
        (("--origin", "any"), "https://example.org", True),
    ):
        with start("serve", "--echo", "--port", 0, *given) as program:
            url = program.line().split()[3]
            if welcome:
                async with connect(url, origin=origin):
                    pass
            else:
                with pytest.raises(InvalidStatus):
                    await connect(url, origin=origin)


@posix
@pytest.mark.one_twin
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_in_order(start: Start, number: signal.Signals) -> None:
    with start("serve", "--echo", "--port", 0, "--quiet") as program:
        async with connect(program.line().split()[3]) as ws:
            program.process.send_signal(number)
            async for _ in ws:
                pass
            assert ws.close_code == 1001
        assert program.process.wait(20) == 0
        assert program.errors.empty()


@pytest.mark.one_twin
@pytest.mark.parametrize("command", [("serve", "--echo"), ("demo",)])
def test_a_port_in_use(call: Run, taken_port: int, command: tuple[str, ...]) -> None:
    status, out, err = call(*command, "--port", taken_port)
    assert (status, out) == (1, b"")
    assert err == f"bowstring: cannot listen on 127.0.0.1:{taken_port}: address already in use (--port takes another)\n"


@pytest.mark.one_twin
def test_an_address_that_cannot_be_listened_on(call: Run) -> None:
    status, _, err = call("serve", "--echo", "--host", "name.invalid")
    assert status == 1
    assert err.startswith("bowstring: cannot listen on name.invalid:8765: ")


@pytest.mark.one_twin
def test_certificates_that_cannot_be_used(call: Run, certificates: Certificates, tmp_path: Path) -> None:
    missing, junk = tmp_path / "missing.pem", tmp_path / "junk.pem"
    junk.write_text("no certificate")
    for arguments, complaint in (
        ((missing,), f"cannot read {missing}: no such file or directory"),
        ((certificates.server, "--key", missing), f"cannot read {missing}: no such file or directory"),
        ((junk,), f"certificate and key in {junk} cannot be used: not PEM"),
        ((certificates.ca, "--key", certificates.key), "do not belong together"),
        ((certificates.server, "--key", certificates.encrypted), "is encrypted"),
    ):
        status, _, err = call("serve", "--echo", "--cert", *arguments)
        assert status == 1
        assert complaint in err
        assert err.count("\n") == 1


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo(start: Start, number: signal.Signals) -> None:
    with start("demo", "--port", 0) as program:
        address = program.line()
        assert address.startswith("bowstring chat: http://127.0.0.1:")
        checked = program.line()
        assert checked.startswith("checked: two clients joined a room, and a message took ")
        assert f"(codec: {codec.IMPLEMENTATION}" in checked
        with urllib.request.urlopen(address.split()[2], timeout=20) as page:
            assert b"<title>bowstring chat</title>" in page.read()
        assert program.stop(number) == 0
        assert program.errors.empty()


@pytest.mark.one_twin
def test_demo_opens_the_page(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser.py"
    browser.write_text(f"import pathlib, sys; pathlib.Path({str(opened)!r}).write_text(sys.argv[1])")
    monkeypatch.setenv("BROWSER", f"{sys.executable} {browser} %s")
    with start("demo", "--port", 0, "--open") as program:
        url = program.line().split()[2]
        program.line()
        while not opened.exists() or not opened.read_text():
            assert program.process.poll() is None
        assert opened.read_text() == url


@pytest.mark.one_twin
def test_every_address_is_shown_as_one_that_works_from_here(start: Start) -> None:
    with start("demo", "--host", "0.0.0.0", "--port", 0) as program:
        assert program.line().startswith("bowstring chat: http://127.0.0.1:")
        assert program.line().startswith("checked: ")
