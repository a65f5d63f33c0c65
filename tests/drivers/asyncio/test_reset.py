"""A peer that is gone before it has our Close, or what we send."""

from __future__ import annotations

import asyncio

import pytest

from bowstring import ConnectionClosed, ConnectionClosedError, ServerConnection, connect

from .conftest import Serving
from .peers import Peer, raw_client, raw_server

RESERVED_OPCODE = b"\x83\x00"


async def test_our_close_is_answered_by_a_reset() -> None:
    async def go_away(peer: Peer) -> None:
        await peer.aclose()

    # The bad frame comes in one piece with the response, and the server's end is closed when our Close goes out.
    async with (
        raw_server(go_away, headers=b"\r\n" + RESERVED_OPCODE) as port,
        connect(f"ws://127.0.0.1:{port}/") as connection,
    ):
        with pytest.raises(ConnectionClosedError, match="reserved opcode"):
            await connection.recv()
        await connection.wait_closed()


async def test_sending_in_a_loop_ends_with_the_stream(serving: Serving) -> None:
    told: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    async def handler(connection: ServerConnection) -> None:
        connection.transport.abort()  # as the loop itself does when a write fails
        try:
            for _ in range(1000):  # none of these has anything to wait for
                await connection.send("x")
        except ConnectionClosed as error:
            told.set_result(error)
        else:
            told.set_result(None)

    async with serving(handler) as (_, port), raw_client(port):
        assert isinstance(await told, ConnectionClosed)
