"""``bowstring connect``: in pipes, and what it says when something is wrong."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest

from bowstring import ServerConnection, serve

from .conftest import COMMAND, Certificates, Run, Start

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

Serving: TypeAlias = Callable[..., str]


@pytest.fixture
def serving() -> Iterator[Serving]:
    """``serving(handler, **options)`` starts a server of ours in a thread and gives its address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers: list[Any] = []

    def serving(handler: Any, **options: Any) -> str:
        async def begin() -> Any:
            return await serve(handler, "127.0.0.1", 0, **options)

        servers.append(asyncio.run_coroutine_threadsafe(begin(), loop).result(20))
        return f"ws://127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}/"

    async def end() -> None:
        for server in servers:
            server.close()
            await server.wait_closed()

    yield serving
    asyncio.run_coroutine_threadsafe(end(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_lines_go_out_and_messages_come_in(run: Run, echo: str) -> None:
    status, out, err = run("connect", echo, "--wait", 0.3, stdin="one\ntwo 🏹\r\n\nno end".encode())
    assert out == "one\ntwo 🏹\n\nno end\n".encode()
    assert (status, err) == (0, "bowstring: connection closed with 1000\n")


def test_quiet(run: Run, echo: str) -> None:
    assert run("connect", echo, "-q", "--wait", 0.3, stdin=b"x") == (0, b"x\n", "")


def test_many_lines_keep_their_order(run: Run, echo: str) -> None:
    lines = b"".join(b"%d\n" % number for number in range(20_000))
    assert run("connect", echo, "-q", "--wait", 0.5, stdin=lines) == (0, lines, "")


def test_binary(run: Run, echo: str) -> None:
    lines = b"\xff\x00\nab"
    assert run("connect", echo, "-q", "--binary", "--wait", 0.3, stdin=lines).out == b"\xff\x00ab"


def test_binary_messages_are_shown_in_hexadecimal(run: Run, serving: Serving) -> None:
    async def push(ws: ServerConnection) -> None:
        await ws.send(b"\x00\xff")
        await ws.send("text")

    assert run("connect", serving(push), "--wait", "inf").out == b"00ff\ntext\n"


@pytest.mark.one_twin
def test_text_has_to_be_utf8(run: Run, echo: str) -> None:
    status, out, err = run("connect", echo, stdin=b"\xff\n")
    assert (status, out) == (1, b"")
    assert err == "bowstring: a line of stdin is not UTF-8: send it with --binary\n"


@pytest.mark.one_twin
def test_what_goes_into_the_request(run: Run, serving: Serving) -> None:
    async def show(ws: ServerConnection) -> None:
        assert ws.request is not None
        headers = ws.request.headers
        await ws.send(f"{ws.request.path} {headers['X-Token']} {headers['Origin']} {ws.subprotocol}")
        await ws.send(headers.get("Authorization", "") + " " + headers.get("Sec-WebSocket-Extensions", "none"))

    url = serving(show, subprotocols=["chat"], origins=None).replace("ws://", "ws://user:secret@")
    options = ("--origin", "https://a.b", "--subprotocol", "chat", "-H", "X-Token: a:b", "--no-compression")
    status, out, _ = run("connect", f"{url}p?q=1", "--wait", "inf", *options)
    assert status == 0
    assert out == b"/p?q=1 a:b https://a.b chat\nBasic dXNlcjpzZWNyZXQ= none\n"


@pytest.mark.parametrize(
    ("code", "reason", "status", "shown"),
    [
        (1000, "bye", 0, "1000 (bye)"),
        (1001, "", 0, "1001"),
        (1005, "", 0, "1005"),
        (1011, "oops", 1, "1011 (oops)"),
        (4000, "\x1b[2J", 1, "4000 (\\x1b[2J)"),
    ],
)
@pytest.mark.one_twin
def test_how_the_server_closes(run: Run, serving: Serving, code: int, reason: str, status: int, shown: str) -> None:
    async def close(ws: ServerConnection) -> None:
        await ws.send("last words")
        await ws.close(code, reason)

    result = run("connect", serving(close), "--wait", "inf")
    assert result == (status, b"last words\n", f"bowstring: connection closed with {shown}\n")


@pytest.mark.one_twin
def test_a_connection_that_breaks(run: Run, serving: Serving) -> None:
    async def terminate(ws: ServerConnection) -> None:
        ws.terminate()

    status, out, err = run("connect", serving(terminate), "-q", "--wait", "inf")
    assert (status, out) == (1, b"")
    assert err.startswith("bowstring: connection closed with 1006")


@pytest.mark.one_twin
def test_a_message_that_is_too_big(run: Run, serving: Serving) -> None:
    async def push(ws: ServerConnection) -> None:
        await ws.send("x" * 1001)
        await ws.wait_closed()

    status, _, err = run("connect", serving(push), "--max-size", 1000, "--wait", "inf")
    assert status == 1
    assert "message is too big" in err


def test_pings(call: Run, serving: Serving) -> None:
    async def push(ws: ServerConnection) -> None:
        while True:  # pongs come behind this
            await ws.send("x" * 1000)
            await asyncio.sleep(0)

    status, out, _ = call("connect", serving(push), "--ping", 2)
    first, second, summary = out.decode().splitlines()
    assert status == 0
    assert re.fullmatch(r"[\d.]+ ms", first)
    assert re.fullmatch(r"[\d.]+ ms", second)
    assert summary.startswith("2 pings: min ")


@pytest.mark.one_twin
def test_a_pong_that_does_not_come(call: Run, serving: Serving) -> None:
    async def deaf(ws: ServerConnection) -> None:
        ws.transport.pause_reading()  # type: ignore[union-attr]
        await asyncio.sleep(2)
        ws.terminate()

    status, _, err = call("connect", serving(deaf), "--ping", 1, "--timeout", 0.3)
    assert (status, err) == (1, "bowstring: no pong within 0.3 seconds\n")


@pytest.mark.one_twin
def test_the_end_of_stdin_waits_for_answers(run: Run, serving: Serving) -> None:
    async def slow(ws: ServerConnection) -> None:
        async for message in ws:
            await asyncio.sleep(0.3)
            await ws.send(message)

    assert run("connect", serving(slow), stdin=b"a\nb\n").out == b"a\nb\n"


@posix
@pytest.mark.one_twin
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_closes_in_order(start: Start, serving: Serving, number: signal.Signals, status: int) -> None:
    codes: list[int | None] = []

    async def handler(ws: ServerConnection) -> None:
        async for message in ws:
            await ws.send(message)
        codes.append(ws.close_code)

    with start("connect", serving(handler)) as program:
        program.type("hello\n")
        assert program.line() == "hello"
        assert program.stop(number) == status
        assert program.errors.empty()
    assert codes == [1000]


@posix
@pytest.mark.one_twin
def test_nobody_reads_stdout(serving: Serving) -> None:
    codes: list[int | None] = []

    async def push(ws: ServerConnection) -> None:
        try:
            while True:
                await ws.send("line")
                await asyncio.sleep(0)
        finally:
            codes.append(ws.close_code)

    ours, theirs = os.pipe()
    with subprocess.Popen(
        [*COMMAND, "connect", serving(push), "--wait", "inf"],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(theirs)
        assert os.read(ours, 4) == b"line"
        os.close(ours)
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(20) == 141


def test_tls(run: Run, call: Run, start: Start, certificates: Certificates) -> None:
    with start(
        "serve", "--echo", "--port", 0, "-q", "--cert", certificates.server, "--key", certificates.key
    ) as program:
        url = program.line().split()[3]
        for trust in (("--cafile", certificates.ca), ("--insecure",)):
            assert run("connect", url, "-q", "--wait", 0.3, *trust, stdin=b"x").out == b"x\n"
        status, _, err = call("connect", url)
        assert status == 1
        assert "the server's certificate is not trusted" in err
        status, _, err = call("connect", url.replace("wss", "ws"))
        assert (status, err.count("\n")) == (1, 1)


@pytest.mark.one_twin
def test_who_cannot_be_reached(call: Run, echo: str) -> None:
    port = echo.rstrip("/").rpartition(":")[2]
    for arguments, complaint in (
        (("ws://name.invalid",), "cannot connect to name.invalid: "),
        (("ws://user:secret@127.0.0.1:1",), "cannot connect to 127.0.0.1:1: connection refused"),
        ((f"wss://127.0.0.1:{port}",), "it does not speak TLS"),
        ((f"wss://127.0.0.1:{port}", "--cafile", "/missing.pem"), "cannot read /missing.pem: no such file"),
        ((f"wss://127.0.0.1:{port}", "--cafile", __file__), "has no certificate in PEM format"),
        ((echo, "--origin", "https://example.com"), "the server answered HTTP 403 Forbidden: "),
    ):
        status, out, err = call("connect", *arguments)
        assert (status, out) == (1, b"")
        assert complaint in err
        assert "secret" not in err
        assert err.count("\n") == 1


@pytest.mark.one_twin
@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "this is not a WebSocket server: "),
        (b"", "this is not a WebSocket server: "),
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\n\r\n\x1b[31mno\n",
            "the server answered HTTP 404 Not Found: \\x1b[31mno\n",
        ),
        (None, "no connection to 127.0.0.1:"),
    ],
)
def test_what_is_not_a_websocket_server(call: Run, answer: bytes | None, complaint: str) -> None:
    def serve_once() -> None:
        stream, _ = listening.accept()
        with stream:
            while b"\r\n\r\n" not in stream.recv(65536, socket.MSG_PEEK):
                pass
            stream.recv(65536)
            if answer is None:
                given_up.wait(20)
            else:
                stream.sendall(answer)

    given_up = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve_once)
        server.start()
        url = f"ws://127.0.0.1:{listening.getsockname()[1]}"
        status, out, err = call("connect", url, "--timeout", 0.3 if answer is None else 20)
        given_up.set()
        server.join()
    assert (status, out) == (1, b"")
    assert err.startswith(f"bowstring: {complaint}")
    assert err.count("\n") == 1
