"""What goes out in which order, and how a connection ends: with peers that say exactly what the test wants."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bowstring import ConnectionClosedError, ProtocolError, ServerConnection, Violation, connect
from bowstring.constants import Opcode

from .conftest import Serving
from .peers import REQUEST, Peer, raw_client, raw_server

BAD_FRAME = b"\x83\x80\x12\x34\x56\x78"  # a reserved opcode


def code_of(close: tuple[int, bytes]) -> int:
    opcode, body = close
    assert opcode == Opcode.CLOSE
    return int.from_bytes(body[:2], "big")


# ---------------------------------------------------------------------- before a Close or an error


async def test_replies_go_out_before_the_close_that_answers_an_error(serving: Serving) -> None:
    async with serving() as (_, port), raw_client(port) as peer:
        text, ping = peer.frame(Opcode.TEXT, "a"), peer.frame(Opcode.PING, b"p")
        peer.write(text + ping + text + BAD_FRAME + text + ping)
        pong, first, second, close = await peer.recv_all()
        assert pong == (Opcode.PONG, b"p") and first == second == "a"
        assert code_of(close) == 1002


async def test_replies_go_out_before_the_close_that_answers_a_close(serving: Serving) -> None:
    async with serving() as (_, port), raw_client(port) as peer:
        peer.write(peer.frame(Opcode.TEXT, "a") * 50 + peer.close_frame(4000, "done") + BAD_FRAME)
        *replies, close = await peer.recv_all()
        assert replies == ["a"] * 50 and code_of(close) == 4000


async def test_a_reader_that_waits_is_told_at_once(serving: Serving) -> None:
    told: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def handler(connection: ServerConnection) -> None:
        try:
            await connection.recv()
        except ConnectionClosedError as error:
            told.set_result(error)

    async with serving(handler, finish_delay=1000) as (_, port), raw_client(port) as peer:
        peer.write(BAD_FRAME)
        assert code_of(await peer.recv()) == 1002
        error = await told
        assert isinstance(error, ConnectionClosedError)
        assert isinstance(error.__cause__, ProtocolError)
        assert error.__cause__.violation is Violation.RESERVED_OPCODE


async def test_nobody_who_reads_is_not_waited_for(serving: Serving) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serving(handler, finish_delay=1000) as (_, port), raw_client(port) as peer:
        peer.write(peer.close_frame(1000))
        assert code_of(await peer.recv()) == 1000
        assert await peer.recv() is None


async def test_a_message_and_a_close_behind_the_request_are_answered_in_order(serving: Serving) -> None:
    """The handler has not had its first turn when they are there already."""
    async with serving(finish_delay=1000) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        peer = Peer(reader, writer, is_client=True)
        peer.write(REQUEST + peer.frame(Opcode.TEXT, "a") + peer.close_frame(1000))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        answer, close = await peer.recv_all()
        assert answer == "a" and code_of(close) == 1000
        await peer.aclose()


async def test_a_reader_that_does_not_come_back_is_waited_for_as_long_as_was_said(serving: Serving) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.wait_closed()

    async with serving(handler, finish_delay=0.1) as (_, port), raw_client(port) as peer:
        peer.write(peer.frame(Opcode.TEXT, "taken") + peer.close_frame(1000))
        assert code_of(await peer.recv()) == 1000


async def test_a_reader_that_leaves_messages_is_waited_for_no_longer(serving: Serving) -> None:
    left: list[Any] = []

    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.wait_closed()
        left.append(await connection.recv())  # it is still there

    async with serving(handler, finish_delay=0.1) as (_, port), raw_client(port) as peer:
        peer.write(peer.frame(Opcode.TEXT, "a") + peer.frame(Opcode.TEXT, "b") + peer.close_frame(1000))
        assert code_of(await peer.recv()) == 1000
    assert left == ["b"]


async def test_a_reader_that_goes_on_is_not_cut_short(serving: Serving) -> None:
    async def handler(connection: ServerConnection) -> None:
        async for message in connection:
            await asyncio.sleep(0.1)
            await connection.send(message)

    async with serving(handler, finish_delay=0.3) as (_, port), raw_client(port) as peer:
        peer.write(peer.frame(Opcode.TEXT, "a") * 6 + peer.close_frame(1000))
        *answers, close = await peer.recv_all()
        assert answers == ["a"] * 6 and code_of(close) == 1000


async def test_sending_works_until_our_close_goes_out(serving: Serving) -> None:
    gate = asyncio.Event()

    async def handler(connection: ServerConnection) -> None:
        assert await connection.recv() == "question"
        await gate.wait()
        await connection.send("a late answer")
        with pytest.raises(ConnectionClosedError):
            await connection.recv()

    async with serving(handler, finish_delay=1000) as (_, port), raw_client(port) as peer:
        peer.write(peer.frame(Opcode.TEXT, "question") + peer.close_frame(1011))
        gate.set()
        answer, close = await peer.recv_all()
        assert answer == "a late answer" and code_of(close) == 1011


# ---------------------------------------------------------------------- pings


async def test_pongs_come_in_order_with_the_flush_of_their_chunk(serving: Serving) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.wait_closed()  # a pong needs no recv()

    async with serving(handler) as (_, port), raw_client(port) as peer:
        peer.write(b"".join(peer.frame(Opcode.PING, b"%d" % number) for number in range(100)))
        for number in range(100):
            assert await peer.recv() == (Opcode.PONG, b"%d" % number)


# ---------------------------------------------------------------------- how the stream ends


async def test_the_server_closes_the_stream_after_the_closing_handshake(serving: Serving) -> None:
    async with serving() as (_, port), raw_client(port) as peer:
        peer.write(peer.close_frame(1000))
        assert code_of(await peer.recv()) == 1000
        assert await peer.recv() is None


async def test_the_client_waits_for_the_server_to_close_the_stream() -> None:
    steps: list[str] = []

    async def behave(peer: Peer) -> None:
        assert code_of(await peer.recv()) == 1000
        peer.write(peer.close_frame(1000))
        await peer.drain()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(peer.recv(), 0.1)  # still open
        steps.append("server closes")

    async with raw_server(behave) as port:
        connection = await connect(f"ws://127.0.0.1:{port}/")
        await connection.close()
        steps.append("client has closed")
    assert steps == ["server closes", "client has closed"]


async def test_the_client_waits_no_longer_than_closing_may_take() -> None:
    ended = asyncio.Event()

    async def behave(peer: Peer) -> None:
        peer.write(peer.frame(Opcode.TEXT, "a") + peer.close_frame(1000))
        await ended.wait()

    async with raw_server(behave) as port:
        async with connect(f"ws://127.0.0.1:{port}/", close_timeout=0.1) as connection:
            assert [message async for message in connection] == ["a"]
            await connection.wait_closed()
            assert connection.close_code == 1000
        ended.set()


async def test_no_answer_to_our_close() -> None:
    ended = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await ended.wait()

    async with raw_server(behave) as port:
        connection = await connect(f"ws://127.0.0.1:{port}/", close_timeout=0.1)
        await connection.close()
        assert connection.close_code == 1006
        with pytest.raises(ConnectionClosedError, match=r"closing took more than 0\.1 seconds; sent 1000"):
            await connection.recv()
        ended.set()


async def test_our_close_reaches_a_peer_that_is_still_sending(serving: Serving) -> None:
    """Closing a socket with unread data would reset it, and take the Close from the peer."""
    async with serving(max_size=1000) as (_, port), raw_client(port) as peer:
        peer.write(peer.frame(Opcode.BINARY, bytes(8 * 1024 * 1024)))
        close = await peer.recv()
        assert code_of(close) == 1009
        assert close[1][2:].decode() == "message is too big: 8388608 over the limit of 1000"


async def test_half_close_by_the_peer(serving: Serving) -> None:
    async with serving() as (_, port), raw_client(port) as peer:
        peer.write(peer.frame(Opcode.TEXT, "a") * 3)
        peer.write_eof()
        assert await peer.recv_all() == ["a"] * 3


async def test_reset_by_the_peer(serving: Serving) -> None:
    errors: list[Any] = []
    opened = asyncio.Event()

    async def handler(connection: ServerConnection) -> None:
        opened.set()
        try:
            await connection.recv()
        except ConnectionClosedError as error:
            errors.append(error)

    async with serving(handler) as (_, port):
        async with raw_client(port) as peer:
            await opened.wait()
            peer.reset()
    assert [error.code for error in errors] == [1006]
    assert isinstance(errors[0].__cause__, ConnectionResetError)


# ---------------------------------------------------------------------- the opening


async def test_frames_behind_the_request_are_kept(serving: Serving) -> None:
    async with serving() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        peer = Peer(reader, writer, is_client=True)
        peer.write(REQUEST + peer.frame(Opcode.TEXT, "early") + peer.frame(Opcode.TEXT, "bird")[:3])
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert await peer.recv() == "early"
        peer.write(peer.frame(Opcode.TEXT, "bird")[3:])
        assert await peer.recv() == "bird"
        await peer.aclose()


async def test_frames_behind_the_response_are_kept() -> None:
    async def behave(peer: Peer) -> None:
        # The head of the response is still in the same buffer.
        peer.write(peer.frame(Opcode.TEXT, "early") + peer.close_frame(1000))
        assert code_of(await peer.recv()) == 1000

    async with raw_server(behave) as port, connect(f"ws://127.0.0.1:{port}/") as connection:
        assert [message async for message in connection] == ["early"]


async def test_a_request_byte_by_byte(serving: Serving) -> None:
    async with serving() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for byte in REQUEST:
            writer.write(bytes([byte]))
            await writer.drain()
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.close()
        await writer.wait_closed()


# ---------------------------------------------------------------------- backpressure


async def test_reading_pauses_while_the_queue_is_full(serving: Serving, reading_paused: asyncio.Event) -> None:
    gate = asyncio.Event()
    seen: list[int] = []

    async def handler(connection: ServerConnection) -> None:
        await gate.wait()
        seen.append(len(connection._protocol.messages))
        async for message in connection:
            assert len(message) == 60_000
            seen.append(len(connection._protocol.messages))

    async with serving(handler, max_queue=4) as (_, port), raw_client(port) as peer:
        frame = peer.frame(Opcode.BINARY, bytes(60_000))
        for _ in range(200):
            peer.write(frame)
        await reading_paused.wait()
        gate.set()
        peer.write(peer.close_frame(1000))
        assert code_of(await peer.recv()) == 1000
    assert seen[0] <= 4 + 2 and max(seen) <= 4 + 2  # what one more chunk brings, and what it completes
    assert len(seen) == 201


async def test_reading_goes_on_while_there_is_room(serving: Serving) -> None:
    done = asyncio.Event()

    async def handler(connection: ServerConnection) -> None:
        await done.wait()

    async with serving(handler) as (_, port), raw_client(port) as peer:
        peer.write(peer.frame(Opcode.TEXT, "nobody takes this"))
        for _ in range(3):
            peer.write(peer.frame(Opcode.PING, b"p"))
            assert await peer.recv() == (Opcode.PONG, b"p")
        done.set()


async def test_the_queue_is_limited_in_bytes_too(serving: Serving, reading_paused: asyncio.Event) -> None:
    gate = asyncio.Event()

    async def handler(connection: ServerConnection) -> None:
        await gate.wait()
        assert sum(map(len, connection._protocol.messages)) <= 100_000 + 3 * 65_536
        async for _ in connection:
            pass

    async with serving(handler, max_queue=(1000, 100_000)) as (_, port), raw_client(port) as peer:
        for _ in range(50):
            peer.write(peer.frame(Opcode.BINARY, bytes(60_000)))
        await reading_paused.wait()
        gate.set()
        peer.write(peer.close_frame(1000))
        assert code_of(await peer.recv()) == 1000


async def test_a_peer_that_does_not_read_is_given_up(serving: Serving) -> None:
    ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    async def handler(connection: ServerConnection) -> None:
        try:
            while True:
                await connection.send(bytes(1 << 16))
        except ConnectionClosedError as error:
            ended.set_result(error.__cause__)
            raise

    async with serving(handler, write_timeout=0.2, ping_interval=None) as (_, port), raw_client(port) as peer:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        error = await ended
        assert isinstance(error, TimeoutError) and str(error) == "nothing could be written for 0.2 seconds"


async def test_an_echo_to_a_peer_that_does_not_read_stays_bounded(serving: Serving) -> None:
    async with serving(write_timeout=None, close_timeout=0.2) as (server, port), raw_client(port) as peer:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        flood = (peer.frame(Opcode.PING, b"p" * 125) + peer.frame(Opcode.TEXT, "x" * 4000)) * 20
        [connection] = server.connections
        while not connection._reading_paused:
            peer.write(flood)
            await asyncio.sleep(0)
            assert connection.buffered_amount < 1 << 20
        assert connection.transport.get_write_buffer_size() < 256 * 1024
        peer.reset()


# ---------------------------------------------------------------------- keepalive


async def test_keepalive_pings_and_measures() -> None:

    async def behave(peer: Peer) -> None:
        for _ in range(3):
            opcode, payload = await peer.recv()
            assert opcode == Opcode.PING
            peer.write(peer.frame(Opcode.PONG, payload))
        peer.write(peer.frame(Opcode.TEXT, "behind the third pong"))
        while (await peer.recv())[0] != Opcode.CLOSE:
            pass
        peer.write(peer.close_frame(1000))

    async with raw_server(behave) as port:
        async with connect(f"ws://127.0.0.1:{port}/", ping_interval=0.05, ping_timeout=5) as connection:
            assert connection.latency == 0
            await connection.recv()
            assert 0 < connection.latency < 5


async def test_keepalive_gives_up_a_peer_that_is_silent() -> None:
    async def behave(peer: Peer) -> None:
        items = await peer.recv_all()
        assert [item[0] for item in items[:-1]] == [Opcode.PING] * (len(items) - 1)
        assert code_of(items[-1]) == 1011

    async with (
        raw_server(behave) as port,
        connect(f"ws://127.0.0.1:{port}/", ping_interval=0.05, ping_timeout=0.1) as connection,
    ):
        with pytest.raises(ConnectionClosedError, match=r"no answer to keepalive pings for 0\.1 seconds"):
            await connection.recv()


async def test_any_byte_is_a_sign_of_life() -> None:
    """A peer that sends one long message slowly, and never a pong, is alive."""

    async def behave(peer: Peer) -> None:
        *message, last = peer.frame(Opcode.TEXT, "x" * 20)
        for byte in message:
            peer.write(bytes([byte]))
            with pytest.raises(TimeoutError):
                while True:
                    assert (await asyncio.wait_for(peer.recv(), 0.03))[0] == Opcode.PING
        peer.write(bytes([last]))
        while (await peer.recv())[0] != Opcode.CLOSE:
            pass
        peer.write(peer.close_frame(1000))

    async with (
        raw_server(behave) as port,
        connect(f"ws://127.0.0.1:{port}/", ping_interval=0.05, ping_timeout=0.2) as connection,
    ):
        assert await connection.recv() == "x" * 20


async def test_while_we_do_not_read_the_deadline_stands_still(serving: Serving) -> None:
    gate = asyncio.Event()

    async def handler(connection: ServerConnection) -> None:
        await gate.wait()
        async for _ in connection:
            pass

    async with serving(handler, max_queue=1, ping_interval=0.05, ping_timeout=0.1) as (_, port):
        async with raw_client(port) as peer:
            for _ in range(100):
                peer.write(peer.frame(Opcode.BINARY, bytes(60_000)))
            for _ in range(8):  # far more than the time for an answer
                assert (await peer.recv())[0] == Opcode.PING
            gate.set()
            peer.write(peer.close_frame(1000))
            while (item := await peer.recv()) is not None and item[0] == Opcode.PING:
                pass
            assert item is not None and code_of(item) == 1000
