"""A peer that is gone before it has our Close."""

from __future__ import annotations

import pytest

from bowstring import ConnectionClosedError, connect

from .peers import Peer, raw_server

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
