"""Node's ``ws`` as a server for our client."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import bowstring

from .conftest import Tls
from .messages import LENGTHS, MIB, TEXT, large_json, repetitive_messages
from .node import Node, ServerPeer, encoded

NO_COMPRESSION = {"perMessageDeflate": False}
COMPRESSION = {"perMessageDeflate": {"threshold": 0}}


@asynccontextmanager
async def connected(
    node: Node, server: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[tuple[ServerPeer, bowstring.ClientConnection]]:
    """A server, and our connection to it."""
    async with node.server(**(server or {})) as peer, bowstring.connect(peer.url, **settings) as connection:
        await peer.event("connection")
        yield peer, connection


# ---------------------------------------------------------------------------------------------------- messages


async def test_text_and_binary(node: Node) -> None:
    async with connected(node) as (peer, connection):
        for message in (TEXT, "", bytes(range(256)), b""):
            await connection.send(message)
            assert await peer.message() == message
            await peer.send(message)
            assert await connection.recv() == message


@pytest.mark.parametrize("server", [NO_COMPRESSION, COMPRESSION], ids=["plain", "deflate"])
async def test_one_mebibyte(node: Node, server: dict[str, Any]) -> None:
    async with connected(node, {"echo": True, **server}) as (_, connection):
        for message in (os.urandom(MIB), "0123456789abcde\n" * (MIB // 16)):
            await connection.send(message, compress=True)
            assert await connection.recv() == message


async def test_all_lengths_at_which_the_header_grows(node: Node) -> None:
    async with connected(node, {"echo": True, **NO_COMPRESSION}) as (_, connection):
        for length in LENGTHS:
            message = os.urandom(length)
            await connection.send(message)
            assert await connection.recv() == message


@pytest.mark.parametrize("server", [NO_COMPRESSION, COMPRESSION], ids=["plain", "deflate"])
async def test_ten_thousand_messages(node: Node, server: dict[str, Any]) -> None:
    async def send_all() -> None:
        for number in range(10_000):
            await connection.send(f"message {number}")

    async with connected(node, {"echo": True, **server}) as (_, connection):
        sending = asyncio.create_task(send_all())
        for number in range(10_000):
            assert await connection.recv() == f"message {number}"
        await sending


@pytest.mark.parametrize("compress", [False, True])
async def test_its_fragments(node: Node, compress: bool) -> None:
    async with connected(node, COMPRESSION) as (peer, connection):
        arrow = "🏹".encode()
        for part, fin in ((b"b", False), (arrow[:1], False), (arrow[1:], False), (b"", True)):
            await peer.send(part, binary=False, fin=fin, compress=compress)
        await peer.send(bytes(5000), fin=False, compress=compress)
        await peer.do("ping", base64=encoded(b"between"))
        await peer.send(b"\x01", fin=True, compress=compress)
        assert await connection.recv() == "b🏹"
        assert await connection.recv() == bytes(5000) + b"\x01"
        assert await peer.event("pong") == {"base64": encoded(b"between")}


@pytest.mark.parametrize("compress", [False, True])
async def test_our_fragments(node: Node, compress: bool) -> None:
    async with connected(node, COMPRESSION) as (peer, connection):
        await connection.send(["b", "", "🏹"], compress=compress)
        await connection.send([b"b", "🏹".encode()[:1], "🏹".encode()[1:]], text=True, compress=compress)
        await connection.send([bytes(5000), b"\x01", b""], compress=compress)
        assert await peer.message() == "b🏹"
        assert await peer.message() == "b🏹"
        assert await peer.message() == bytes(5000) + b"\x01"


async def test_message_together_with_the_handshake(node: Node) -> None:
    async with connected(node, {"greeting": TEXT}) as (_, connection):
        assert await connection.recv() == TEXT


# ---------------------------------------------------------------------------------------------------- pings


@pytest.mark.parametrize("payload", [b"", b"ping", b"\xff" * 125], ids=len)
async def test_pings(node: Node, payload: bytes) -> None:
    async with connected(node) as (peer, connection):
        await peer.do("ping", base64=encoded(payload))
        assert await peer.event("pong") == {"base64": encoded(payload)}
        assert await (await connection.ping(payload)) > 0
        assert await peer.event("ping") == {"base64": encoded(payload)}


async def test_keepalive(node: Node) -> None:
    async with connected(node, ping_interval=0.05, ping_timeout=5) as (peer, connection):
        for _ in range(3):
            await peer.event("ping")
        assert connection.latency > 0
        assert connection.state is bowstring.State.OPEN


async def test_keepalive_of_a_server_that_does_not_read(node: Node) -> None:
    async with connected(node, ping_interval=0.05, ping_timeout=0.2, close_timeout=0.2) as (peer, connection):
        await peer.do("pause")
        await peer.event("paused")
        with pytest.raises(bowstring.ConnectionClosedError, match="keepalive") as caught:
            await connection.recv()
        assert isinstance(caught.value.error, TimeoutError)
        assert caught.value.sent is not None
        assert caught.value.sent.code == 1011


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


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "away"), (3000, "x" * 123), (4999, "so long, 🏹")])
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


async def test_messages_before_its_close(node: Node) -> None:
    async with connected(node) as (peer, connection):
        await peer.do("flood", count=1000)
        await peer.do("close", code=1000)
        assert [message async for message in connection] == [f"message {number}" for number in range(1000)]


# ---------------------------------------------------------------------------------------------------- limits


async def test_message_over_its_limit(node: Node) -> None:
    async with connected(node, {"maxPayload": MIB, **NO_COMPRESSION}) as (peer, connection):
        sending = asyncio.create_task(connection.send(bytes(8 * MIB)))
        with pytest.raises(bowstring.ConnectionClosedError) as caught:
            await connection.recv()
        assert caught.value.code == 1009
        assert (await peer.event("error"))["code"] == "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH"
        await asyncio.wait([sending])  # it may have come to its end before
        assert isinstance(sending.exception(), bowstring.ConnectionClosed | None)


async def test_message_over_our_limit(node: Node) -> None:
    async with connected(node, COMPRESSION, max_size=1000) as (peer, connection):
        await peer.send("x" * 1001)
        with pytest.raises(bowstring.ConnectionClosedError, match="too big") as caught:
            await connection.recv()
        assert isinstance(caught.value.error, bowstring.ProtocolError)
        assert caught.value.error.limit == 1000
        assert (await peer.event("close"))["code"] == 1009


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (b"\x81\x81\0\0\0\0x", 1002),
        (b"\xa1\x01x", 1002),
        (b"\x83\x00", 1002),
        (b"\x80\x01x", 1002),
        (b"\x88\x01\x03", 1002),
        (b"\x88\x02\x03\xed", 1002),
        (b"\x81\x01\xff", 1007),
        (b"\xc1\x01\xff", 1007),
    ],
    ids=["masked", "RSV2", "opcode 3", "continuation of nothing", "Close of 1 byte", "Close 1005", "UTF-8", "deflate"],
)
async def test_frames_that_we_refuse(node: Node, wire: bytes, code: int) -> None:
    async with connected(node, COMPRESSION) as (peer, connection):
        await peer.send("before", compress=False)
        await peer.do("raw", base64=encoded(wire))
        assert await connection.recv() == "before"
        with pytest.raises(bowstring.ConnectionClosedError) as caught:
            await connection.recv()
        assert isinstance(caught.value.error, bowstring.ProtocolError)
        assert (await peer.event("close"))["code"] == code


# ---------------------------------------------------------------------------------------------------- handshake


async def test_request(node: Node) -> None:
    async with (
        node.server() as peer,
        bowstring.connect(
            f"{peer.url.replace('//', '//robin:arr%C3%B6w@')}/path?q=1",
            origin="https://forest.example",
            additional_headers={"X-Bow": "yew"},
            user_agent_header="bow",
        ) as connection,
    ):
        told = await peer.event("connection")
        assert told["url"] == "/path?q=1"
        headers = told["headers"]
        assert headers["authorization"] == "Basic cm9iaW46YXJyw7Z3"
        assert headers["origin"] == "https://forest.example"
        assert headers["x-bow"] == "yew"
        assert headers["user-agent"] == "bow"
        assert connection.response is not None
        assert connection.response.status == 101


@pytest.mark.parametrize(("offered", "chosen"), [(["v1", "v2"], "v2"), (["v1"], "v1"), (["v3"], None), (None, None)])
async def test_subprotocol(node: Node, offered: list[str] | None, chosen: str | None) -> None:
    async with (
        node.server(preferred=["v2", "v1"]) as peer,
        bowstring.connect(peer.url, subprotocols=offered) as connection,
    ):
        assert (await peer.event("connection"))["protocol"] == (chosen or "")
        assert connection.subprotocol == chosen


async def test_its_rejection(node: Node) -> None:
    answer = [401, "Who are you? 🏹", {"WWW-Authenticate": "Basic"}]
    async with node.server(answers={"/": answer}) as peer:
        with pytest.raises(bowstring.InvalidStatus, match="401") as caught:
            await bowstring.connect(peer.url)
        response = caught.value.response
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Basic"
        assert response.body == "Who are you? 🏹".encode()


async def test_redirect(node: Node) -> None:
    answers = {"/old": [307, "", {"Location": "/older?x"}], "/older?x": [301, "", {"Location": "new"}]}
    async with (
        node.server(answers=answers, echo=True) as peer,
        bowstring.connect(f"{peer.url}/old") as connection,
    ):
        assert (await peer.event("connection"))["url"] == "/new"
        await connection.send("hello")
        assert await connection.recv() == "hello"


async def test_tls(node: Node, tls: Tls) -> None:
    async with (
        node.server(echo=True, tls=tls.node_server) as peer,
        bowstring.connect(peer.url, ssl=tls.client_context) as connection,
    ):
        await peer.event("connection")
        for message in repetitive_messages():
            await connection.send(message)
            assert await connection.recv() == message
            assert await peer.message() == message
        await connection.close(4000, "enough")
        assert await peer.event("close") == {"code": 4000, "reason": "enough"}
        assert connection.close_code == 4000


async def test_certificate_that_is_not_trusted(node: Node, tls: Tls) -> None:
    async with node.server(tls=tls.node_server) as peer:
        with pytest.raises(ssl.SSLCertVerificationError):
            await bowstring.connect(peer.url)


# ---------------------------------------------------------------------------------------------------- compression


@pytest.mark.parametrize(
    ("server", "settings", "agreed"),
    [
        ({}, {}, "server_max_window_bits=12; client_max_window_bits=12"),
        (
            {"serverNoContextTakeover": True, "clientNoContextTakeover": True},
            {},
            "server_no_context_takeover; client_no_context_takeover; "
            "server_max_window_bits=12; client_max_window_bits=12",
        ),
        (
            {"serverMaxWindowBits": 9, "clientMaxWindowBits": 9},
            {},
            "server_max_window_bits=9; client_max_window_bits=9",
        ),
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
            {"server_max_window_bits": 15, "client_max_window_bits": 15, "mem_level": 1, "level": 1},
            "",
        ),
        # It does not limit its window: then it takes the offer that does not ask for that.
        ({"serverMaxWindowBits": False}, {}, ""),
        # Larger than what we have offered: with our own window we stay within either.
        ({"clientMaxWindowBits": 13}, {}, "client_max_window_bits=13"),
    ],
)
async def test_parameters_of_compression(
    node: Node, server: dict[str, Any], settings: dict[str, Any], agreed: str
) -> None:
    compression = bowstring.Compression(threshold=0, binary=True, **settings)
    async with (
        node.server(echo=True, perMessageDeflate={"threshold": 0, **server}) as peer,
        bowstring.connect(peer.url, compression=compression) as connection,
    ):
        assert connection.response is not None
        parameters = connection.response.headers["Sec-WebSocket-Extensions"].split("; ")
        assert set(parameters) == {"permessage-deflate", *filter(None, agreed.split("; "))}
        for message in repetitive_messages():
            await connection.send(message)
            assert await connection.recv() == message


async def test_compression_is_used(node: Node) -> None:
    text = large_json()
    async with connected(node, {"echo": True, **COMPRESSION}) as (peer, connection):
        await connection.send(text)
        assert await connection.recv() == text
        assert await peer.message() == text
        await peer.do("count")
        counted = await peer.event("counted")
    assert counted["read"] < len(text) / 2
    assert counted["written"] < len(text) / 2


@pytest.mark.parametrize(
    ("server", "compression"), [(NO_COMPRESSION, "deflate"), (COMPRESSION, None)], ids=["server", "client"]
)
async def test_one_side_does_not_compress(node: Node, server: dict[str, Any], compression: Any) -> None:
    async with connected(node, {"echo": True, **server}, compression=compression) as (_, connection):
        assert connection.response is not None
        assert "Sec-WebSocket-Extensions" not in connection.response.headers
        await connection.send(TEXT)
        assert await connection.recv() == TEXT
