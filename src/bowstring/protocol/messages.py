"""Messages from frames, and frames from messages: where fragments are joined, and what came packed is unpacked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bowstring import codec
from bowstring.constants import Opcode
from bowstring.exceptions import ProtocolError, Violation
from bowstring.typing import Data, Message

if TYPE_CHECKING:
    from bowstring.codec import Frame

    from .extensions.base import Extension

__all__ = ["Assembly", "PackedMessage", "data_frame"]

_CONTINUATION, _TEXT, _BINARY = int(Opcode.CONTINUATION), int(Opcode.TEXT), int(Opcode.BINARY)


class PackedMessage:
    """A message that extensions have yet to unpack: it waits for its turn in the receive queue as it came in."""

    __slots__ = ("_size", "frames")

    def __init__(self, frames: list[Frame]) -> None:
        self.frames = frames
        # Frames are objects, empty ones too: what limits the queue has to see them.
        self._size = sum(len(frame.payload) for frame in frames) + 64 * (len(frames) - 1)

    def __len__(self) -> int:
        """Roughly the bytes that it takes in the queue."""
        return self._size


class Assembly:
    """Joins the frames of the messages of one connection.

    Args:
        extensions: as negotiated, in the order of the server's answer.
        max_size: bytes of a message after unpacking; ``None`` is no limit. What needs no unpacking was held against
            its limit by the decoder.
        decode: whether text becomes ``str``; otherwise it stays ``bytes``.
    """

    __slots__ = ("_decode", "_extensions", "_fragments", "_max_size", "_opcode", "_packed", "_unpack_all")

    def __init__(self, extensions: Sequence[Extension], max_size: int | None, decode: bool) -> None:
        self._extensions = tuple(reversed(extensions))  # RFC 6455 §9.1: the last one applied is the first to be undone
        self._unpack_all = any(extension.all_messages for extension in extensions)
        self._max_size = max_size
        self._decode = decode
        self._opcode = 0  # of the message that is arriving
        self._packed: list[Frame] | None = None  # its frames, where an extension wants them
        self._fragments: bytearray | None = None  # otherwise its payload so far

    def pack(self, message: Message) -> PackedMessage:
        """A message of one frame as that frame, for extensions that want every message."""
        if isinstance(message, str):
            return PackedMessage([codec.Frame(_TEXT, message.encode())])
        return PackedMessage([codec.Frame(_BINARY, message)])

    def add(self, frame: Frame) -> Message | PackedMessage | None:
        """Takes the next data frame; returns the message that it completes."""
        if frame.opcode != _CONTINUATION:
            if frame.rsv or self._unpack_all:
                self._packed = []
            else:
                self._fragments = bytearray()
            self._opcode = frame.opcode
        if self._packed is not None:
            self._packed.append(frame)
            if frame.fin:
                frames, self._packed = self._packed, None
                return PackedMessage(frames)
            return None
        assert self._fragments is not None  # the decoder lets no continuation pass that continues nothing
        # The payload alone: 16,384 fragments of a byte each are not to cost 16,384 objects.
        self._fragments += frame.payload
        if not frame.fin:
            return None
        payload, self._fragments = self._fragments, None
        return payload.decode() if self._opcode == _TEXT and self._decode else bytes(payload)

    def drop(self) -> None:
        """Forgets the message that is arriving."""
        self._packed = self._fragments = None

    def unpack(self, message: PackedMessage) -> Message:
        """Has the extensions unpack a message.

        Raises:
            ProtocolError: it breaks a rule of theirs, is too large, or is not the UTF-8 that it says it is.
        """
        payloads: list[bytes] = []
        size = 0
        for frame in message.frames:
            payloads.append(self._unpack_frame(frame, size))
            size += len(payloads[-1])
        payload = payloads[0] if len(payloads) == 1 else b"".join(payloads)
        if message.frames[0].opcode == _BINARY:
            return payload
        # RFC 6455 §8.1; RFC 7692 §6: what was compressed is looked at when it is text again.
        if not self._decode:
            if not _is_utf8(payload):
                raise ProtocolError(Violation.INVALID_UTF8)
            return payload
        try:
            return payload.decode()
        except UnicodeDecodeError:
            raise ProtocolError(Violation.INVALID_UTF8) from None

    def _unpack_frame(self, frame: Frame, before: int) -> bytes:
        """The payload of a frame whose message has had ``before`` bytes so far."""
        limit = self._max_size
        try:
            for extension in self._extensions:
                frame = extension.decode(frame, max_size=None if limit is None else limit - before)
        except ProtocolError as error:
            if error.size is None or not before:
                raise
            # Extensions count from the frame's beginning; what is said is about the message.
            raise ProtocolError(error.violation, error.detail, size=before + error.size, limit=limit) from None
        if frame.rsv:
            raise ProtocolError(Violation.RESERVED_BITS)
        return frame.payload


def data_frame(data: Data, text: bool | None) -> Frame:
    """The frame of a whole message, before extensions.

    Args:
        data: ``str`` or any C-contiguous buffer.
        text: whether it goes as text; ``None``: if it is a ``str``.

    Raises:
        TypeError: it is neither.
        ValueError: bytes that are to go as text are not UTF-8.
    """
    if isinstance(data, str):
        return codec.Frame(_BINARY if text is False else _TEXT, data.encode())
    frame = codec.Frame(_TEXT if text else _BINARY, data)
    # RFC 6455 §8.1: the peer would have to fail the connection.
    if text and not _is_utf8(frame.payload):
        raise ValueError("data must be UTF-8 when text=True")
    return frame


def _is_utf8(payload: bytes) -> bool:
    validator = codec.Utf8Validator()
    return validator.feed(payload) and validator.at_boundary
