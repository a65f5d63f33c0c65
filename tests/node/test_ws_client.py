"""Node's ``ws`` as a client of our server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import bowstring

from .conftest import Tls
from .messages import LENGTHS, MIB, TEXT, large_json, repetitive_messages
from .node import ClientPeer, Node, encoded

NO_COMPRESSION = {"perMessageDeflate": False}


class Listening:
    """Our server, whose connections are played by the test."""

    def __init__(self, server: bowstring.Server, opened: asyncio.Queue[bowstring.ServerConnection]) -> None:
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self.connection = opened.get


async def echo(connection: bowstring.ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def leave(connection: bowstring.ServerConnection) -> None:
    await connection.wait_closed()


@asynccontextmanager
async def listening(
    handler: Callable[[bowstring.ServerConnection], Awaitable[None]] = leave, **settings: Any
) -> AsyncIterator[Listening]:
    opened: asyncio.Queue[bowstring.ServerConnection] = asyncio.Queue()

    async def handle(connection: bowstring.ServerConnection) -> None:
        opened.put_nowait(connection)
        await handler(connection)

    async with bowstring.serve(handle, "127.0.0.1", 0, **settings) as server:
        yield Listening(server, opened)


@asynccontextmanager
async def connected(
    node: Node,
    handler: Callable[[bowstring.ServerConnection], Awaitable[None]] = leave,
    client: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[ClientPeer, bowstring.ServerConnection]]:
    """A client, connected to our server, and our end of that."""
    async with listening(handler, **settings) as here, node.client(here.url, **(client or {})) as peer:
        await peer.opened()
        yield peer, await here.connection()


# ---------------------------------------------------------------------------------------------------- messages


async def test_text_and_binary(node: Node) -> None:
    async with connected(node) as (peer, connection):
        for message in (TEXT, "", bytes(range(256)), b""):
            await peer.send(message)
            assert await connection.recv() == message
            await connection.send(message)
            assert await peer.message() == message


@pytest.mark.parametrize("client", [{}, NO_COMPRESSION], ids=["deflate", "plain"])
async def test_one_mebibyte(node: Node, client: dict[str, Any]) -> None:
    async with connected(node, echo, client) as (peer, _):
        for message in (os.urandom(MIB), "0123456789abcde\n" * (MIB // 16)):
            await peer.send(message)
            assert await peer.message() == message


async def test_all_lengths_at_which_the_header_grows(node: Node) -> None:
    async with connected(node, echo, NO_COMPRESSION) as (peer, _):
        for length in LENGTHS:
            message = os.urandom(length)
            await peer.send(message)
            assert await peer.message() == message


async def test_ten_thousand_messages(node: Node) -> None:
    async with connected(node, echo) as (peer, _):
        await peer.do("flood", count=10_000)
        for number in range(10_000):
            assert await peer.message() == f"message {number}"


@pytest.mark.parametrize("compress", [False, True])
async def test_its_fragments(node: Node, compress: bool) -> None:
    async with connected(node, compression=bowstring.Compression()) as (peer, connection):
        arrow = "🏹".encode()
        for part, fin in ((b"b", False), (arrow[:1], False), (arrow[1:], False), (b"", True)):
            await peer.send(part, binary=False, fin=fin, compress=compress)
        await peer.send("x" * 5000, fin=False, compress=compress)
        await peer.do("ping", base64=encoded(b"between"))
        await peer.send("y", fin=True, compress=compress)
        await peer.send(b"\x00" * 5000, fin=False, compress=compress)
        await peer.send(b"\x01", fin=True, compress=compress)
        assert await connection.recv() == "b🏹"
        assert await connection.recv() == "x" * 5000 + "y"
        assert await connection.recv() == bytes(5000) + b"\x01"
        assert await peer.event("pong") == {"base64": encoded(b"between")}


@pytest.mark.parametrize("compress", [False, True])
async def test_our_fragments(node: Node, compress: bool) -> None:
    async with connected(node) as (peer, connection):
        await connection.send(["b", "", "🏹"], compress=compress)
        await connection.send([b"b", "🏹".encode()[:1], "🏹".encode()[1:]], text=True, compress=compress)
        await connection.send([bytes(5000), b"\x01", b""], compress=compress)
        assert await peer.message() == "b🏹"
        assert await peer.message() == "b🏹"
        assert await peer.message() == bytes(5000) + b"\x01"


# ---------------------------------------------------------------------------------------------------- pings


@pytest.mark.parametrize("payload", [b"", b"ping", b"\xff" * 125], ids=len)
async def test_its_ping(node: Node, payload: bytes) -> None:
    async with connected(node) as (peer, _):
        await peer.do("ping", base64=encoded(payload))
        assert await peer.event("pong") == {"base64": encoded(payload)}


@pytest.mark.parametrize("payload", [b"", b"ping", b"\xff" * 125], ids=len)
async def test_our_ping(node: Node, payload: bytes) -> None:
    async with connected(node) as (peer, connection):
        assert await (await connection.ping(payload)) > 0
        assert await peer.event("ping") == {"base64": encoded(payload)}


async def test_pongs_that_answer_nothing(node: Node) -> None:
    async with connected(node, echo) as (peer, connection):
        await peer.do("pong", base64=encoded(b"one-way"))
        await peer.send("still here")
        assert await peer.message() == "still here"
        await connection.pong(b"back")
        assert await peer.event("pong") == {"base64": encoded(b"back")}


async def test_keepalive(node: Node) -> None:
    async with connected(node, echo, ping_interval=0.05, ping_timeout=5) as (peer, connection):
        for _ in range(3):
            await peer.event("ping")
        assert connection.latency > 0
        assert connection.state is bowstring.State.OPEN


# ---------------------------------------------------------------------------------------------------- closing


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "away"), (3000, "x" * 123), (4999, "bis bald, 🏹")])
async def test_its_close(node: Node, code: int, reason: str) -> None:
    async with connected(node) as (peer, connection):
        await peer.do("close", code=code, reason=reason)
        with pytest.raises(bowstring.ConnectionClosed) as caught:
            await connection.recv()
        assert caught.value.rcvd == (code, reason)
        assert caught.value.closed_by == "remote"
        assert (await peer.event("close"))["code"] == code


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1012, "restart"), (3000, "x" * 123), (4999, "so long, 🏹")])
async def test_our_close(node: Node, code: int, reason: str) -> None:
    async with connected(node) as (peer, connection):
        await connection.close(code, reason)
        assert await peer.event("close") == {"code": code, "reason": reason}
        assert (connection.close_code, connection.closed_by) == (code, "local")


async def test_its_empty_close(node: Node) -> None:
    async with connected(node) as (peer, connection):
        await peer.do("close")
        assert await peer.event("close") == {"code": 1005, "reason": ""}
        await connection.wait_closed()
        assert connection.close_code == 1005


async def test_our_empty_close(node: Node) -> None:
    async with connected(node) as (peer, connection):
        await connection.close(1005)
        assert await peer.event("close") == {"code": 1005, "reason": ""}
        assert connection.close_code == 1005


async def test_both_close_at_once(node: Node) -> None:
    async with connected(node) as (peer, connection):
        await peer.do("close", code=4001)
        await connection.close(4002)
        assert (await peer.event("close"))["code"] in {4001, 4002}
        assert connection.close_code in {4001, 4002}


async def test_it_terminates(node: Node) -> None:
    async with connected(node) as (peer, connection):
        await peer.do("terminate")
        with pytest.raises(bowstring.ConnectionClosedError) as caught:
            await connection.recv()
        assert caught.value.code == 1006
        assert await peer.event("close") == {"code": 1006, "reason": ""}


async def test_we_terminate(node: Node) -> None:
    async with connected(node) as (peer, connection):
        connection.terminate()
        await connection.wait_closed()
        assert connection.close_code == 1006
        assert await peer.close_or_error() == {"code": 1006, "reason": ""}


async def test_messages_before_a_close_are_answered(node: Node) -> None:
    async with connected(node, echo) as (peer, _):
        await peer.do("flood", count=100)
        await peer.do("close", code=4000)
        for number in range(100):
            assert await peer.message() == f"message {number}"
        assert (await peer.event("close"))["code"] == 4000


# ---------------------------------------------------------------------------------------------------- limits


async def test_message_over_our_limit(node: Node) -> None:
    async with connected(node, max_size=MIB, client=NO_COMPRESSION) as (peer, connection):
        await peer.send(os.urandom(8 * MIB))
        with pytest.raises(bowstring.ConnectionClosedError, match="too big") as caught:
            await connection.recv()
        assert caught.value.sent is not None
        assert caught.value.sent.code == 1009
        told = await peer.event("close")
        assert told["code"] == 1009
        assert told["reason"].startswith("message is too big")


async def test_message_over_its_limit(node: Node) -> None:
    async with connected(node, client={"maxPayload": 1000}) as (peer, connection):
        await connection.send("x" * 1001)
        assert (await peer.event("error"))["code"] == "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH"
        with pytest.raises(bowstring.ConnectionClosedError) as caught:
            await connection.recv()
        assert caught.value.code == 1009


async def test_it_does_not_read(node: Node) -> None:
    count, size, limit = 512, 65536, 100_000
    amounts = []
    async with connected(node, compression=None, write_limit=limit) as (peer, connection):

        async def send_all() -> None:
            for number in range(count):
                await connection.send(number.to_bytes(2, "big") * (size // 2))
                amounts.append(connection.buffered_amount)

        await peer.do("pause")
        await peer.event("paused")
        sending = asyncio.create_task(send_all())
        await peer.do("resume")
        for number in range(count):
            assert await peer.message() == number.to_bytes(2, "big") * (size // 2)
        await sending
    assert max(amounts) <= limit + size + 14


async def test_it_never_reads_again(node: Node) -> None:
    async with connected(node, compression=None, write_timeout=0.3) as (peer, connection):
        await peer.do("pause")
        await peer.event("paused")
        with pytest.raises(bowstring.ConnectionClosedError, match="nothing could be written"):
            while True:
                await connection.send(bytes(65536))
        assert connection.close_code == 1006


# ---------------------------------------------------------------------------------------------------- broken rules


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        # Masked by a key of zeros, but for the first.
        (b"\x81\x01x", 1002),
        (b"\xa1\x81\0\0\0\0x", 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (b"\x80\x81\0\0\0\0x", 1002),
        (b"\x09\x80\0\0\0\0", 1002),
        (b"\x88\x81\0\0\0\0\x03", 1002),
        (b"\x88\x82\0\0\0\0\x03\xed", 1002),
        (b"\x81\x81\0\0\0\0\xff", 1007),
        (b"\xc1\x81\0\0\0\0\xff", 1007),
    ],
    ids=[
        "not masked",
        "RSV2",
        "opcode 3",
        "continuation of nothing",
        "fragmented ping",
        "Close of 1 byte",
        "Close 1005",
        "UTF-8",
        "deflate",
    ],
)
async def test_frames_that_are_refused(node: Node, wire: bytes, code: int) -> None:
    async with connected(node) as (peer, connection):
        await peer.send("before", compress=False)
        await peer.do("raw", base64=encoded(wire))
        assert await connection.recv() == "before"
        with pytest.raises(bowstring.ConnectionClosedError) as caught:
            await connection.recv()
        assert isinstance(caught.value.error, bowstring.ProtocolError)
        assert (await peer.event("close"))["code"] == code


# ---------------------------------------------------------------------------------------------------- handshake


async def test_request_and_response(node: Node) -> None:
    async with (
        listening(server_header="bow") as here,
        node.client(f"{here.url}/path?q=1", headers={"X-Bow": "yew"}, origin=here.url.replace("ws", "http")) as peer,
    ):
        opened = await peer.opened()
        connection = await here.connection()
        assert connection.request is not None
        assert connection.request.path == "/path?q=1"
        assert connection.request.headers["X-Bow"] == "yew"
        assert opened["headers"]["server"] == "bow"


async def test_credentials(node: Node) -> None:
    async with listening() as here, node.client(here.url.replace("//", "//robin:arr%C3%B6w@")) as peer:
        await peer.opened()
        request = (await here.connection()).request
        assert request is not None
        assert request.headers["Authorization"] == "Basic cm9iaW46YXJyw7Z3"


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["v1", "v2"], "v2"), (["v1"], "v1"), ([], "")], ids=lambda value: str(value)
)
async def test_subprotocol(node: Node, offered: list[str], chosen: str) -> None:
    async with listening(subprotocols=["v2", "v1"]) as here, node.client(here.url, protocols=offered) as peer:
        assert (await peer.opened())["protocol"] == chosen
        assert (await here.connection()).subprotocol == (chosen or None)


async def test_no_subprotocol_in_common(node: Node) -> None:
    async with listening(subprotocols=["v2"]) as here, node.client(here.url, protocols=["v1"]) as peer:
        await peer.event("upgrade")
        assert (await peer.event("error"))["message"] == "Server sent no subprotocol"


async def test_our_rejection(node: Node) -> None:
    def process_request(connection: bowstring.ServerConnection, _: bowstring.Request) -> bowstring.Response:
        response = connection.respond(401, "Who are you? 🏹\n")
        response.headers["WWW-Authenticate"] = "Basic"
        return response

    async with listening(process_request=process_request) as here, node.client(here.url) as peer:
        answer = await peer.event("unexpected-response")
        assert (answer["status"], answer["body"]) == (401, "Who are you? 🏹\n")
        assert answer["headers"]["www-authenticate"] == "Basic"


@pytest.mark.parametrize(
    ("options", "status"),
    [({"origin": "http://elsewhere.example"}, 403), ({"protocolVersion": 8}, 426)],
    ids=["origin", "version"],
)
async def test_requests_that_are_rejected(node: Node, options: dict[str, Any], status: int) -> None:
    async with listening() as here, node.client(here.url, **options) as peer:
        answer = await peer.event("unexpected-response")
        assert answer["status"] == status
        assert answer["body"]
        if status == 426:
            assert answer["headers"]["sec-websocket-version"] == "13"


async def test_unix_socket(node: Node, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with (
        bowstring.serve(echo, unix_path=path),
        node.client(f"ws+unix:{path}:/chat") as peer,
    ):
        await peer.opened()
        await peer.send(TEXT)
        assert await peer.message() == TEXT


async def test_tls(node: Node, tls: Tls) -> None:
    async with (
        listening(echo, ssl=tls.server_context) as here,
        node.client(here.url.replace("ws:", "wss:"), **tls.node_client) as peer,
    ):
        await peer.opened()
        await say_and_hear(peer)
        await peer.do("close", code=4000, reason="enough")
        assert await peer.event("close") == {"code": 4000, "reason": ""}


# ---------------------------------------------------------------------------------------------------- compression


@pytest.mark.parametrize(
    ("offer", "settings", "agreed"),
    [
        ({}, {}, "server_max_window_bits=12; client_max_window_bits=12"),
        (
            {"clientNoContextTakeover": True},
            {},
            "client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12",
        ),
        (
            {"serverNoContextTakeover": True},
            {},
            "server_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12",
        ),
        (
            {"serverMaxWindowBits": 9, "clientMaxWindowBits": 10},
            {},
            "server_max_window_bits=9; client_max_window_bits=10",
        ),
        # It does not say that its window may be limited; so we ask it not to rely on one.
        ({"clientMaxWindowBits": False}, {}, "client_no_context_takeover; server_max_window_bits=12"),
        ({}, {"server_max_window_bits": 15, "client_max_window_bits": 15}, ""),
        (
            {},
            {"server_no_context_takeover": True, "client_no_context_takeover": True},
            "server_no_context_takeover; client_no_context_takeover; "
            "server_max_window_bits=12; client_max_window_bits=12",
        ),
        (
            {},
            {"server_max_window_bits": 9, "client_max_window_bits": 9, "mem_level": 9, "level": 9},
            "server_max_window_bits=9; client_max_window_bits=9",
        ),
        (
            {},
            {"client_max_window_bits": 8, "mem_level": 1, "level": 1},
            "server_max_window_bits=12; client_max_window_bits=8",
        ),
    ],
)
async def test_parameters_of_compression(
    node: Node, offer: dict[str, Any], settings: dict[str, Any], agreed: str
) -> None:
    compression = bowstring.Compression(threshold=0, binary=True, **settings)
    client: dict[str, Any] = {"perMessageDeflate": {"threshold": 0, **offer}}
    async with listening(echo, compression=compression) as here, node.client(here.url, **client) as peer:
        parameters = (await peer.opened())["headers"]["sec-websocket-extensions"].split("; ")
        assert set(parameters) == {"permessage-deflate", *filter(None, agreed.split("; "))}
        await say_and_hear(peer)


async def say_and_hear(peer: ClientPeer) -> None:
    for message in repetitive_messages():
        await peer.send(message)
        assert await peer.message() == message


async def test_it_does_not_compress(node: Node) -> None:
    async with listening(echo) as here, node.client(here.url, perMessageDeflate=False) as peer:
        assert (await peer.opened())["extensions"] == ""
        await say_and_hear(peer)


async def test_compression_is_used(node: Node) -> None:
    text = large_json()
    async with connected(node, echo) as (peer, _):
        await peer.send(text)
        assert await peer.message() == text
        await peer.do("count")
        counted = await peer.event("counted")
    assert counted["read"] < len(text) / 2
    assert counted["written"] < len(text) / 2
