"""Who is measured: both twins and other libraries, each behind the same few methods.

Every library does what it does when it is used: text comes out as ``str``, frames are checked, masking keys are made
by the library where it makes its own. Where something cannot be called without a socket, it is left out.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib
import importlib.metadata
import logging
import os
import socket
from collections.abc import Callable
from typing import Any, ClassVar

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = bytes.fromhex("37fa213d")

Message = str | bytes


class Contender:
    """One library. A method that it does not define is what it cannot do by itself.

    Attributes:
        name: what the tables call it.
        distribution: where it comes from, to look up its version.
    """

    name: ClassVar[str]
    distribution: ClassVar[str]

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.distribution)

    def masker(self) -> Callable[[bytes], object]:
        """Masks a payload with KEY."""
        raise NotImplementedError

    def decoder(self, masked: bool) -> Callable[[list[bytes]], list[Message]]:
        """Takes the chunks of a stream of whole messages, returns the messages. Every call starts a new stream."""
        raise NotImplementedError

    def builder(self, masked: bool) -> Callable[[list[Message]], bytes | list[bytes]]:
        """Makes frames of messages: what goes to the socket, in one piece or several."""
        raise NotImplementedError

    def utf8(self) -> Callable[[list[bytes]], bool]:
        """Checks a text that comes in pieces."""
        raise NotImplementedError


class Bowstring(Contender):
    """A twin of ours."""

    distribution = "bowstring"
    twin: ClassVar[str]

    def __init__(self) -> None:
        self.module: Any = importlib.import_module(f"bowstring.codec.{self.twin}")

    @property
    def version(self) -> str:
        return f"{importlib.import_module('bowstring').__version__}, {self.module.simd_level()}"

    def masker(self) -> Callable[[bytes], object]:
        apply_mask = self.module.apply_mask
        return lambda data: apply_mask(data, KEY)

    def decoder(self, masked: bool) -> Callable[[list[bytes]], list[Message]]:
        def decode(chunks: list[bytes]) -> list[Message]:
            decoder = self.module.FrameDecoder(expect_masked=masked, max_message_size=None)
            messages: list[Message] = []
            for chunk in chunks:
                messages += decoder.feed(chunk)
            return messages

        return decode

    def builder(self, masked: bool) -> Callable[[list[Message]], bytes]:
        encode_frames = self.module.encode_frames
        if not masked:
            return encode_frames  # type: ignore[no-any-return]
        take = importlib.import_module("bowstring.codec").MaskKeys().take
        return lambda messages: encode_frames(messages, masking_keys=take(len(messages)))

    def utf8(self) -> Callable[[list[bytes]], bool]:
        def check(pieces: list[bytes]) -> bool:
            validator = self.module.Utf8Validator()
            for piece in pieces:
                validator.feed(piece)
            return validator.at_boundary  # type: ignore[no-any-return]

        return check


class BowstringCython(Bowstring):
    name = "bowstring (cython)"
    twin = "_cython"


class BowstringPython(Bowstring):
    name = "bowstring (python)"
    twin = "_python"


class Websockets(Contender):
    """Its Sans-I/O layer; masking in C where its extension is there."""

    name = "websockets"
    distribution = "websockets"

    def __init__(self) -> None:
        self.frames: Any = importlib.import_module("websockets.frames")
        self.protocol: Any = importlib.import_module("websockets.protocol")

    @property
    def version(self) -> str:
        return f"{super().version}, masking in {self.frames.apply_mask.__module__.removeprefix('websockets.')}"

    def masker(self) -> Callable[[bytes], object]:
        apply_mask = self.frames.apply_mask
        return lambda data: apply_mask(data, KEY)

    def decoder(self, masked: bool) -> Callable[[list[bytes]], list[Message]]:
        side = self.protocol.SERVER if masked else self.protocol.CLIENT

        def decode(chunks: list[bytes]) -> list[Message]:
            protocol = self.protocol.Protocol(side, state=self.protocol.OPEN, max_size=None)
            for chunk in chunks:
                protocol.receive_data(chunk)
            # What its connections do with a frame of text.
            text = self.frames.Opcode.TEXT
            return [
                frame.data.decode() if frame.opcode is text else bytes(frame.data)
                for frame in protocol.events_received()
            ]

        return decode

    def builder(self, masked: bool) -> Callable[[list[Message]], list[bytes]]:
        side = self.protocol.CLIENT if masked else self.protocol.SERVER

        def build(messages: list[Message]) -> list[bytes]:
            protocol = self.protocol.Protocol(side, state=self.protocol.OPEN, max_size=None)
            for message in messages:
                if isinstance(message, str):
                    protocol.send_text(message.encode())
                else:
                    protocol.send_binary(message)
            return protocol.data_to_send()  # type: ignore[no-any-return]

        return build


class Wsproto(Contender):
    """Its frame layer, without the connection around it."""

    name = "wsproto"
    distribution = "wsproto"

    def __init__(self) -> None:
        self.module: Any = importlib.import_module("wsproto.frame_protocol")

    def masker(self) -> Callable[[bytes], object]:
        masker = self.module.XorMaskerSimple
        return lambda data: masker(KEY).process(data)

    def decoder(self, masked: bool) -> Callable[[list[bytes]], list[Message]]:
        def decode(chunks: list[bytes]) -> list[Message]:
            protocol = self.module.FrameProtocol(client=not masked, extensions=[])
            messages: list[Message] = []
            parts: list[Any] = []
            for chunk in chunks:
                protocol.receive_bytes(chunk)
                for frame in protocol.received_frames():
                    # A frame that spans chunks comes in parts.
                    parts.append(frame.payload)
                    if frame.message_finished:
                        messages.append("".join(parts) if isinstance(frame.payload, str) else b"".join(parts))
                        parts.clear()
            return messages

        return decode

    def builder(self, masked: bool) -> Callable[[list[Message]], list[bytes]]:
        def build(messages: list[Message]) -> list[bytes]:
            protocol = self.module.FrameProtocol(client=masked, extensions=[])
            return [protocol.send_data(message, fin=True) for message in messages]

        return build

    def utf8(self) -> Callable[[list[bytes]], bool]:
        factory = importlib.import_module("codecs").getincrementaldecoder("utf-8")

        def check(pieces: list[bytes]) -> bool:
            decoder = factory()
            for piece in pieces:
                decoder.decode(piece)
            return not decoder.getstate()[0]

        return check


class Written:
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.write = self.written.append

    def writelines(self, parts: list[bytes | memoryview]) -> None:
        self.written += map(bytes, parts)  # a view, of something that will change, is copied; bytes are not

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 1  # so that picows, which would write to the socket by itself, writes here

    def get_extra_info(self, name: str, default: object = None) -> object:
        return UNCONNECTED if name == "socket" else default


UNCONNECTED = socket.socket()


class Aiohttp(Contender):
    """Its reader, with the queue that it fills, and its writer."""

    name = "aiohttp"
    distribution = "aiohttp"

    def __init__(self) -> None:
        self.reader: Any = importlib.import_module("aiohttp._websocket.reader")
        self.writer: Any = importlib.import_module("aiohttp._websocket.writer")
        self.mask = importlib.import_module("aiohttp._websocket.helpers").websocket_mask
        self.loop = asyncio.new_event_loop()

    @property
    def version(self) -> str:
        return f"{super().version}, reader in {self.reader.WebSocketReader.__module__.rsplit('.', 1)[1]}"

    def masker(self) -> Callable[[bytes], object]:
        def apply_mask(data: bytes) -> bytearray:
            masked = bytearray(data)
            self.mask(KEY, masked)
            return masked

        return apply_mask

    def decoder(self, masked: bool) -> Callable[[list[bytes]], list[Message]]:
        class Protocol:
            """What a queue wants of a connection: nothing is ever paused."""

            _reading_paused = False

        protocol = Protocol()

        def decode(chunks: list[bytes]) -> list[Message]:
            queue = self.reader.WebSocketDataQueue(protocol, 1 << 29, loop=self.loop)
            reader = self.reader.WebSocketReader(queue, 0, False, True)
            for chunk in chunks:
                reader.feed_data(chunk)
            messages: list[Message] = []

            async def receive() -> None:
                while queue._buffer:
                    messages.append((await queue.read()).data)

            step(receive())
            return messages

        return decode

    def builder(self, masked: bool) -> Callable[[list[Message]], list[bytes]]:
        def build(messages: list[Message]) -> list[bytes]:
            transport = Written()
            writer = self.writer.WebSocketWriter(None, transport, use_mask=masked, limit=1 << 62)

            async def send() -> None:
                for message in messages:
                    if isinstance(message, str):
                        await writer.send_frame(message.encode(), 1)
                    else:
                        await writer.send_frame(message, 2)

            step(send())
            return transport.written

        return build


def step(coroutine: Any) -> None:
    """Runs a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


class Picows(Contender):
    """Its protocol with a transport that goes nowhere. Every frame is a callback; we take its payload."""

    name = "picows"
    distribution = "picows"

    def __init__(self) -> None:
        self.module: Any = importlib.import_module("picows")
        self.protocol: Any = importlib.import_module("picows.picows").WSProtocol
        self.loop = asyncio.new_event_loop()
        self.listeners: list[Any] = []

    def connect(self, client: bool, listener: Any) -> tuple[Any, list[bytes]]:
        """A protocol behind its opening handshake, and the list that it writes to."""

        async def create() -> Any:
            return self.protocol(
                "localhost", "/", client, lambda *_: listener, logging.getLogger("picows.silent"), False, None,
                False, 0, 0, self.module.WSAutoPingStrategy.PING_WHEN_IDLE, True, 1 << 40, None, 65536,
            )  # fmt: skip

        protocol = self.loop.run_until_complete(create())
        transport = Written()
        protocol.connection_made(transport)
        if client:
            request = transport.written[0].decode()
            key = next(line for line in request.splitlines() if line.startswith("Sec-WebSocket-Key")).split()[1]
            accept = base64.b64encode(hashlib.sha1(f"{key}{GUID}".encode()).digest())
            head = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + accept
        else:
            head = b"GET / HTTP/1.1\r\nHost: localhost\r\nSec-WebSocket-Version: 13"
            head += b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        self.feed(protocol, head + b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        self.listeners.append(listener)  # held weakly by its protocol
        return protocol, transport.written

    def feed(self, protocol: Any, data: bytes) -> None:
        at = 0
        while at < len(data):
            buffer = protocol.get_buffer(-1)
            size = min(len(buffer), len(data) - at)
            buffer[:size] = data[at : at + size]
            protocol.buffer_updated(size)
            at += size

    def decoder(self, masked: bool) -> Callable[[list[bytes]], list[Message]]:
        messages: list[Message] = []
        text = self.module.WSMsgType.TEXT

        class Listener(self.module.WSListener):  # type: ignore[misc,name-defined]
            def on_ws_frame(self, _: Any, frame: Any) -> None:
                if frame.msg_type == text:
                    messages.append(frame.get_payload_as_utf8_text())
                else:
                    messages.append(frame.get_payload_as_bytes())

        protocol, _ = self.connect(not masked, Listener())

        def decode(chunks: list[bytes]) -> list[Message]:
            messages.clear()
            for chunk in chunks:
                self.feed(protocol, chunk)
            return messages

        return decode

    def builder(self, masked: bool) -> Callable[[list[Message]], list[bytes]]:
        protocol, written = self.connect(masked, self.module.WSListener())
        send = protocol.transport.send
        text, binary = self.module.WSMsgType.TEXT, self.module.WSMsgType.BINARY

        def build(messages: list[Message]) -> list[bytes]:
            written.clear()
            for message in messages:
                send(text if isinstance(message, str) else binary, message)
            return written

        return build


class CopyOnly(Contender):
    """What the work cannot be faster than."""

    name = "memcpy"

    @property
    def version(self) -> str:
        return "a copy of the payload, as the floor for masking"

    def masker(self) -> Callable[[bytes], object]:
        return bytearray


def find() -> tuple[list[Contender], list[str]]:
    """Those that are there, and the names of the others with the reason."""
    found: list[Contender] = [BowstringPython(), CopyOnly()]
    missing: list[str] = []
    for kind in (BowstringCython, Websockets, Wsproto, Aiohttp, Picows):
        try:
            found.append(kind())
        except (ImportError, AttributeError) as exc:
            missing.append(f"{kind.name}: {exc}")
    return found, missing


def stream(messages: list[Message], masked: bool, chunk: int = 65536) -> list[bytes]:
    """The frames of these messages, in chunks as they are read from a socket; made by hand, to favour nobody."""
    wire = bytearray()
    for message in messages:
        payload = message.encode() if isinstance(message, str) else message
        size = len(payload)
        wire.append(0x81 if isinstance(message, str) else 0x82)
        mask_bit = 0x80 if masked else 0
        if size < 126:
            wire.append(mask_bit | size)
        elif size < 65536:
            wire += bytes([mask_bit | 126]) + size.to_bytes(2, "big")
        else:
            wire += bytes([mask_bit | 127]) + size.to_bytes(8, "big")
        if masked:
            key = os.urandom(4)
            wire += key
            mask = (key * (size // 4 + 1))[:size]
            payload = (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(size, "big")
        wire += payload
    return [bytes(wire[at : at + chunk]) for at in range(0, len(wire), chunk)]
