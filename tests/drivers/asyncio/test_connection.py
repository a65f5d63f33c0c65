"""Our client and our server with each other: what an application sees."""

from __future__ import annotations

import array
import asyncio
import contextlib
import gc
import socket
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

import bowstring
from bowstring import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    ServerConnection,
    State,
    connect,
)

from .conftest import Serving, echo

MESSAGES: list[Any] = ["", "text", "Grüße 🎻", b"", b"\x00\xff", "x" * 125, "x" * 126, b"y" * 65_536, "é" * 200_000]


async def test_echo(serving: Serving) -> None:
    async with serving() as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        for message in MESSAGES:
            await connection.send(message)
            assert await connection.recv() == message


async def test_many_in_flight_keep_their_order(serving: Serving) -> None:
    async with serving() as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:

        async def send() -> None:
            for number in range(20_000):
                await connection.send(str(number))

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            for number in range(20_000):
                assert await connection.recv() == str(number)


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_compression_is_negotiated_or_not(serving: Serving, compression: Any) -> None:
    async with serving(compression=compression) as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        assert connection.response is not None
        assert ("Sec-WebSocket-Extensions" in connection.response.headers) is (compression is not None)
        for text in ("hello " * 1000, "hello " * 2000, "short"):
            await connection.send(text)
            assert await connection.recv() == text


async def test_awaitable_without_a_context_manager(serving: Serving) -> None:
    async with serving() as (_, port):
        connection = await connect(f"ws://127.0.0.1:{port}/")
        await connection.send("a")
        assert await connection.recv() == "a"
        await connection.close()
        assert connection.state is State.CLOSED


async def test_serve_is_awaitable_too() -> None:
    server = await bowstring.serve(echo, "127.0.0.1", 0)
    async with connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}") as connection:
        await connection.send("a")
        assert await connection.recv() == "a"
    server.close()
    await server.wait_closed()
    assert not server.is_serving


async def test_what_a_connection_knows(serving: Serving) -> None:
    seen: list[Any] = []

    async def handler(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append((connection.request.path, connection.request.headers["X-Mine"], connection.subprotocol))
        seen.append(connection.remote_address)
        connection.name = "an attribute of the application's own"  # type: ignore[attr-defined]
        await connection.send("ready")
        await connection.wait_closed()

    async with (
        serving(handler, subprotocols=["b", "a"]) as (server, port),
        connect(
            f"ws://127.0.0.1:{port}/path?query=1", additional_headers={"X-Mine": "yes"}, subprotocols=["a", "b"]
        ) as connection,
    ):
        await connection.recv()
        assert seen[0] == ("/path?query=1", "yes", "b")
        assert seen[1] == connection.local_address
        assert connection.subprotocol == "b"
        assert connection.ready_state == 1
        assert len(server.connections) == 1
        for open_connection in server.connections:
            await open_connection.close(4000, "for iteration")
        assert connection.id != open_connection.id
        assert "OPEN" not in repr(open_connection)


# ---------------------------------------------------------------------- closing


async def test_the_client_closes(serving: Serving) -> None:
    ended: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()

    async def handler(connection: ServerConnection) -> None:
        async for _ in connection:
            pass
        ended.set_result(connection)

    async with serving(handler) as (_, port):
        connection = await connect(f"ws://127.0.0.1:{port}/")
        await connection.close(1000, "bye")
        server_side = await ended
        assert (server_side.close_code, server_side.close_reason) == (1000, "bye")
        assert (connection.close_code, connection.close_reason) == (1000, "")
        assert connection.closed_by == "local" and server_side.closed_by == "remote"
        with pytest.raises(ConnectionClosedOK) as caught:
            await connection.recv()
        assert caught.value.rcvd_then_sent is False
        with pytest.raises(ConnectionClosedOK):
            await connection.send("x")
        await connection.close()


async def test_the_handler_ends(serving: Serving) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send("only this")

    async with serving(handler) as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        assert [message async for message in connection] == ["only this"]
        assert connection.close_code == 1000


async def test_the_handler_fails(serving: Serving, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(connection: ServerConnection) -> None:
        raise RuntimeError("in the handler")

    async with serving(handler) as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        with pytest.raises(ConnectionClosedError) as caught:
            await connection.recv()
        assert caught.value.code == 1011
    assert "connection handler failed" in caplog.text and "in the handler" in caplog.text


async def test_a_handler_that_ends_with_its_connection_is_no_failure(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.recv()

    async with serving(handler) as (_, port):
        connection = await connect(f"ws://127.0.0.1:{port}/")
        connection.terminate()
        await connection.wait_closed()
        assert connection.close_code == 1006
    assert "failed" not in caplog.text


async def test_a_group_of_tasks_that_ends_with_the_connection_is_no_failure(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(connection: ServerConnection) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(connection.recv())

    async with serving(handler) as (_, port):
        connection = await connect(f"ws://127.0.0.1:{port}/")
        connection.terminate()
        await connection.wait_closed()
    assert "failed" not in caplog.text


async def test_a_handler_that_is_not_cancelled_itself_has_failed(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(connection: ServerConnection) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async with serving(handler) as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        with pytest.raises(ConnectionClosedError) as caught:
            await connection.recv()
        assert caught.value.code == 1011
    assert "connection handler failed" in caplog.text


async def test_what_a_peer_says_cannot_forge_a_line_of_the_log(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.recv()

    caplog.set_level("DEBUG", "bowstring.server")
    async with serving(handler) as (_, port):
        connection = await connect(f"ws://127.0.0.1:{port}/")
        await connection.close(4000, "bye\nERROR forged \x1b[31m")
    assert "bye\\nERROR forged \\x1b[31m" in caplog.text
    assert "\nERROR forged" not in caplog.text


async def test_the_server_goes_away(serving: Serving) -> None:
    async with serving() as (server, port):
        connection = await connect(f"ws://127.0.0.1:{port}/")
        server.close()
        await server.wait_closed()
        with pytest.raises(ConnectionClosedOK) as caught:
            await connection.recv()
        assert caught.value.code == 1001
        with pytest.raises(OSError):
            await connect(f"ws://127.0.0.1:{port}/")


async def test_closing_the_server_can_leave_connections_open(serving: Serving) -> None:
    async with serving() as (server, port):
        connection = await connect(f"ws://127.0.0.1:{port}/")
        server.close(close_connections=False)
        await connection.send("still here")
        assert await connection.recv() == "still here"
        server.close(code=1012, reason="no longer")
        with pytest.raises(ConnectionClosedError) as caught:
            await connection.recv()
        assert (caught.value.code, caught.value.reason) == (1012, "no longer")


async def test_a_wrong_code_is_refused_when_the_server_is_closed(serving: Serving) -> None:
    async with serving() as (server, port):
        with pytest.raises(ValueError, match="code must be"):
            server.close(code=1006)
        assert server.is_serving
        await (await connect(f"ws://127.0.0.1:{port}/")).close()


async def test_closing_the_server_ends_openings(serving: Serving) -> None:
    async with serving(open_timeout=None) as (server, port):
        silent = await asyncio.open_connection("127.0.0.1", port)
        rejected = await asyncio.open_connection("127.0.0.1", port)
        rejected[1].write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await rejected[0].read()).startswith(b"HTTP/1.1 426 ")
        server.close()
        await server.wait_closed()
        for _, writer in (silent, rejected):
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def test_the_time_for_opening_is_not_renewed_after_the_tls_handshake(
    serving: Serving, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    async with serving(ssl=tls[0], open_timeout=1) as (_, port):
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", port)) as plain:
            await asyncio.sleep(0.8)
            await asyncio.to_thread(_wrap_and_wait, plain, tls[1])
        assert 1 <= time.monotonic() - started < 1.8


def _wrap_and_wait(plain: socket.socket, context: ssl.SSLContext) -> None:
    with context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=True) as secure:
        with contextlib.suppress(ConnectionError):
            assert secure.recv(1) == b""


async def test_both_close_at_the_same_time(serving: Serving) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.close(4001)

    async with serving(handler) as (_, port):
        connection = await connect(f"ws://127.0.0.1:{port}/")
        await connection.send("now")
        await connection.close(4002)
        assert connection.state is State.CLOSED and connection.close_code in {4001, 4002}


async def test_messages_received_before_the_close_can_still_be_taken(serving: Serving) -> None:
    async def handler(connection: ServerConnection) -> None:
        for number in range(10):
            await connection.send(str(number))

    async with serving(handler) as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        await connection.wait_closed()
        assert [message async for message in connection] == [str(number) for number in range(10)]


# ---------------------------------------------------------------------- receiving


async def test_cancelling_recv_loses_nothing(serving: Serving) -> None:
    async with serving() as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        for number in range(200):
            receiving = asyncio.create_task(connection.recv())
            await asyncio.sleep(0)
            await connection.send(str(number))
            if number % 2:
                # In every state of its waiting: before the echo, with it, and after it.
                for _ in range(number % 7):
                    await asyncio.sleep(0)
                receiving.cancel()
            try:
                assert await receiving == str(number)
            except asyncio.CancelledError:
                assert await connection.recv() == str(number)


async def test_one_receives_at_a_time(serving: Serving) -> None:
    async with serving() as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        waiting = asyncio.create_task(connection.recv())
        await asyncio.sleep(0)
        with pytest.raises(ConcurrencyError, match="already waiting"):
            await connection.recv()
        await connection.send("for the first")
        assert await waiting == "for the first"


async def test_decode_converts(serving: Serving) -> None:
    async with serving() as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        for message in ("é", "é".encode()):
            for decode, expected in ((True, "é"), (False, "é".encode()), (None, message)):
                await connection.send(message)
                assert await connection.recv(decode) == expected
        await connection.send(b"\xff")
        with pytest.raises(UnicodeDecodeError):
            await connection.recv(decode=True)


async def test_text_as_bytes(serving: Serving) -> None:
    async with serving() as (_, port), connect(f"ws://127.0.0.1:{port}/", decode=False) as connection:
        await connection.send("é")
        assert await connection.recv() == "é".encode()


async def test_a_flood_leaves_others_their_turn(serving: Serving) -> None:
    """A reader that never has to wait gives way to the loop once in a while."""
    turns = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal turns
        await connection.recv()
        for _ in range(5000):
            connection._protocol.messages.append("x")
        watching = asyncio.create_task(watch())
        for _ in range(5000):
            await connection.recv()
        watching.cancel()

    async def watch() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with serving(handler) as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        await connection.send("go")
        async for _ in connection:
            pass
    assert turns >= 5000 // 128


async def test_a_flood_of_bombs_leaves_others_their_turn(serving: Serving) -> None:
    """One read can hold dozens of messages that inflate to the limit: each takes a turn of its own."""
    turns = 0
    taken: list[int] = []

    async def handler(connection: ServerConnection) -> None:
        watching = asyncio.create_task(watch())
        taken.extend([turns async for _ in connection])
        watching.cancel()

    async def watch() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with serving(handler) as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        for _ in range(40):
            connection._protocol.send("x" * (1 << 20), compress=True)
        connection._flush()
    assert len(taken) == len(set(taken)) == 40


async def test_a_sender_leaves_others_their_turn(serving: Serving) -> None:
    """Who sends in a loop to a peer that reads as fast gives way to the loop once in a while."""
    turns = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal turns
        watching = asyncio.create_task(watch())
        for _ in range(5000):
            await connection.send("x")
        watching.cancel()

    async def watch() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with serving(handler) as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        assert [message async for message in connection] == ["x"] * 5000
    assert turns >= 5000 // 128


# ---------------------------------------------------------------------- sending


@pytest.mark.parametrize(
    "message", [bytearray(b"abc"), memoryview(b"abc"), array.array("B", b"abc")], ids=lambda value: type(value).__name__
)
async def test_buffers_go_as_binary(serving: Serving, message: Any) -> None:
    async with serving() as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        await connection.send(message)
        assert await connection.recv() == b"abc"
        await connection.send(message, text=True)
        assert await connection.recv() == "abc"


async def test_iterables_go_in_fragments(serving: Serving) -> None:
    async def pieces() -> AsyncIterator[str]:
        for piece in ("a", "ß", "", "🎻"):
            await asyncio.sleep(0)
            yield piece

    async with serving() as (_, port), connect(f"ws://127.0.0.1:{port}/", compression=None) as connection:
        for fragments, whole in (
            (["a", "b"], "ab"),
            ((b"a", b"b", b"c"), b"abc"),
            (iter(["only"]), "only"),
            (pieces(), "aß🎻"),
        ):
            await connection.send(fragments)
            assert await connection.recv() == whole


async def test_an_empty_iterable_sends_nothing(serving: Serving) -> None:
    async with serving() as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        await connection.send([])
        await connection.send("after")
        assert await connection.recv() == "after"


async def test_an_iterable_that_begins_with_what_cannot_be_sent_leaves_the_connection_open(serving: Serving) -> None:
    async with serving() as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        with pytest.raises(TypeError):
            await connection.send([1, 2])  # type: ignore[list-item]
        await connection.send("after")
        assert await connection.recv() == "after"


async def test_who_waits_behind_a_fragmented_message_is_told_of_the_end(serving: Serving) -> None:
    async def pieces() -> AsyncIterator[str]:
        yield "one"
        yield "two"
        await asyncio.Event().wait()

    async with serving() as (_, port):
        connection = await connect(f"ws://127.0.0.1:{port}/")
        fragmented = asyncio.create_task(connection.send(pieces()))
        await (await connection.ping())
        waiting = asyncio.create_task(connection.send("behind"))
        await asyncio.sleep(0)
        connection.terminate()
        with pytest.raises(ConnectionClosedError):
            await waiting
        assert connection.closed_by == "local"
        fragmented.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fragmented


async def test_a_fragmented_message_stays_whole(serving: Serving) -> None:
    gate = asyncio.Event()

    async def pieces() -> AsyncIterator[str]:
        yield "one "
        yield "two "
        await gate.wait()
        yield "three"

    async with serving() as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        fragmented = asyncio.create_task(connection.send(pieces()))
        await asyncio.sleep(0)
        other = asyncio.create_task(connection.send("other"))
        await (await connection.ping())  # control frames may go in between
        assert not other.done()
        gate.set()
        await asyncio.gather(fragmented, other)
        assert [await connection.recv(), await connection.recv()] == ["one two three", "other"]


async def test_a_fragmented_message_that_fails_is_not_hidden(serving: Serving) -> None:
    async def pieces() -> AsyncIterator[str]:
        yield "one"
        yield "two"
        raise KeyError("where the pieces come from")

    async with serving() as (_, port):
        connection = await connect(f"ws://127.0.0.1:{port}/")
        with pytest.raises(KeyError):
            await connection.send(pieces())
        with pytest.raises(ConnectionClosedError):
            await connection.recv()
        await connection.wait_closed()


@pytest.mark.parametrize("message", [None, 1, 1.5, object(), {"a": 1}, ["a", b"b", 3]], ids=repr)
async def test_what_cannot_be_sent_is_refused(serving: Serving, message: Any) -> None:
    async with serving() as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        with pytest.raises(TypeError):
            await connection.send(message)
        if not isinstance(message, list):
            await connection.send("still open")
            assert await connection.recv() == "still open"


async def test_send_waits_for_a_peer_that_does_not_read(serving: Serving) -> None:
    waited: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def handler(connection: ServerConnection) -> None:
        sent = 0
        with pytest.raises(TimeoutError):
            while True:
                async with asyncio.timeout(0.2):
                    await connection.send(bytes(64 * 1024))
                sent += 1
        waited.set_result(sent)

    async with serving(handler) as (_, port):
        async with connect(f"ws://127.0.0.1:{port}/", max_queue=1, compression=None) as connection:
            sent = await waited
            assert sent < 400  # some MiB stand in the buffers of the operating system, the rest waited
            messages = [message async for message in connection]
            assert len(messages) == sent + 1  # send() had queued the last one before it waited


async def test_text_and_binary_can_be_exchanged_for_each_other(serving: Serving) -> None:
    async with serving() as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        await connection.send("é", text=False)
        assert await connection.recv() == "é".encode()


# ---------------------------------------------------------------------- pings


async def test_ping(serving: Serving) -> None:
    async with serving() as (_, port), connect(f"ws://127.0.0.1:{port}/") as connection:
        latency = await (await connection.ping())
        assert 0 < latency < 10 and connection.latency == latency
        first, second = await connection.ping("one"), await connection.ping(b"two")
        with pytest.raises(ValueError, match="payload must differ"):
            await connection.ping(b"two")
        assert await first >= 0 and await second >= 0
        await connection.pong(b"unasked")
        with pytest.raises(ValueError, match="125"):
            await connection.ping(bytes(126))


async def test_a_ping_without_its_pong_ends_with_the_connection(serving: Serving) -> None:
    async def handler(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await connection.wait_closed()

    async with serving(handler) as (_, port):
        connection = await connect(f"ws://127.0.0.1:{port}/")
        waiting = await connection.ping()
        connection.terminate()
        with pytest.raises(ConnectionClosed):
            await waiting


# ---------------------------------------------------------------------- TLS and unix sockets


async def test_tls(serving: Serving, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server_context, client_context = tls
    async with serving(ssl=server_context) as (_, port):
        async with connect(f"wss://localhost:{port}/", ssl=client_context) as connection:
            for message in MESSAGES:
                await connection.send(message)
                assert await connection.recv() == message
        assert connection.close_code == 1000
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(f"wss://localhost:{port}/")


async def test_a_broken_rule_over_tls(
    serving: Serving, tls: tuple[ssl.SSLContext, ssl.SSLContext], caplog: pytest.LogCaptureFixture
) -> None:
    ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def handler(connection: ServerConnection) -> None:
        address = connection.remote_address
        with pytest.raises(ConnectionClosedError, match="reserved opcode"):
            await connection.recv()
        await connection.wait_closed()
        ended.set_result((address, connection.remote_address))

    async with serving(handler, ssl=tls[0]) as (_, port):
        connection = await connect(f"wss://localhost:{port}/", ssl=tls[1])
        connection.transport.write(b"\x83\x80abcd")
        with pytest.raises(ConnectionClosedError, match="received 1002"):
            await connection.recv()
        await connection.wait_closed()
        before, after = await ended
        assert before == after is not None
    assert not caplog.records


async def test_unix_sockets(tmp_path: Any) -> None:
    path = tmp_path / "socket"
    async with bowstring.serve(echo, unix_path=path), connect("ws://localhost/", unix_path=path) as connection:
        await connection.send("a")
        assert await connection.recv() == "a"


async def test_nothing_is_left_over(serving: Serving) -> None:
    """A connection that has ended is garbage as soon as nobody refers to it."""
    import weakref

    async with serving() as (server, port):
        connection = await connect(f"ws://127.0.0.1:{port}/")
        await connection.send("a")
        await connection.recv()
        [server_side] = server.connections
        references = [weakref.ref(connection), weakref.ref(server_side)]
        await connection.close()
        await server_side.wait_closed()
        await asyncio.sleep(0)
        del connection, server_side
        gc.collect()
        assert [reference() for reference in references] == [None, None]
