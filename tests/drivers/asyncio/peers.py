"""Peers that say exactly what a test wants them to say, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

from bowstring import codec
from bowstring.constants import Opcode
from bowstring.protocol.handshake.key import accept_key

KEY = b"\x12\x34\x56\x78"

REQUEST = (
    b"GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Peer:
    """One end of a TCP connection; knows frames, and keeps no rules."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_client: bool) -> None:
        self.reader = reader
        self.writer = writer
        self.is_client = is_client
        self.decoder = codec.FrameDecoder(expect_masked=not is_client, max_message_size=None, allowed_rsv=0x70)
        self.items: list[Any] = []

    def frame(self, opcode: int, payload: bytes | str = b"", **flags: Any) -> bytes:
        return codec.encode_frame(opcode, payload, masking_key=KEY if self.is_client else None, **flags)

    def close_frame(self, code: int, reason: str = "") -> bytes:
        return self.frame(Opcode.CLOSE, code.to_bytes(2, "big") + reason.encode())

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def drain(self) -> None:
        await self.writer.drain()

    def write_eof(self) -> None:
        self.writer.write_eof()

    async def recv(self) -> Any:
        """The next message, or control frame as ``(opcode, payload)``; ``None`` at the end of the stream."""
        while not self.items:
            data = await self.reader.read(65536)
            if not data:
                return None
            self.items += self.decoder.feed(data)
        item = self.items.pop(0)
        return item if isinstance(item, (str, bytes)) else (item.opcode, item.payload)

    async def recv_all(self) -> list[Any]:
        """Everything up to the end of the stream."""
        items = []
        while (item := await self.recv()) is not None:
            items.append(item)
        return items

    def reset(self) -> None:
        """Ends the connection with a RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def aclose(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def raw_client(port: int, request: bytes = REQUEST, **options: Any) -> AsyncIterator[Peer]:
    """A client whose handshake is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
    peer = Peer(reader, writer, is_client=True)
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield peer
    finally:
        await peer.aclose()


@contextlib.asynccontextmanager
async def raw_server(behave: Callable[[Peer], Any], headers: bytes = b"", **options: Any) -> AsyncIterator[int]:
    """A server that answers the handshake and then does what ``behave(peer)`` does; gives its port."""
    errors: list[BaseException] = []
    tasks: set[Any] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        peer = Peer(reader, writer, is_client=False)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
            writer.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: "
                + accept_key(key.split(b":")[1].strip().decode()).encode()
                + b"\r\n"
                + headers
                + b"\r\n"
            )
            await behave(peer)
        except Exception as error:
            errors.append(error)
        finally:
            await peer.aclose()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        if tasks:
            await asyncio.wait(tasks)
        await server.wait_closed()
        if errors:
            raise errors[0]
