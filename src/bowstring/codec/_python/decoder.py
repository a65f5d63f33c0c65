"""From bytes to messages and frames."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Final, NoReturn, TypeAlias, final

from bowstring.constants import FIN, MASK, MAX_CONTROL_PAYLOAD
from bowstring.exceptions import ProtocolError, Violation
from bowstring.typing import BytesLike

from .buffers import raw_bytes, view_of
from .frame import (
    BINARY,
    CLOSE,
    CONTINUATION,
    OPCODE_BITS,
    OPCODE_NAMES,
    RSV_BITS,
    TEXT,
    WHOLE_BINARY,
    WHOLE_TEXT,
    Frame,
    check_rsv,
    new_frame,
)
from .masking import rotate, xor
from .refusals import refuse_pickle, refuse_subclass
from .utf8 import Utf8Validator

_from_bytes = int.from_bytes

LENGTH_BITS: Final = 0x7F

#: RFC 6455 §5.2: no frame can have as many bytes; for a message, that is as good as no limit.
NO_LIMIT: Final = 1 << 63

Result: TypeAlias = str | bytes | Frame | ProtocolError


def check_limit(value: int | None, name: str, least: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an int or None, not {type(value).__name__!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")
    return value


@final
class FrameDecoder:
    """Turns bytes into messages and frames, and checks every rule of RFC 6455 §5 and §8.1 that concerns frames.

    One decoder reads one direction of one connection.

    Args:
        expect_masked: what the peer has to do: ``True`` where a client is the peer, ``False`` where a server is
            (RFC 6455 §5.1).
        max_message_size: how many bytes the payloads of a message may have together; ``None`` is no limit. It is
            held against what a header announces, before the payload is waited for. A message with a reserved bit
            may have an eighth and 64 bytes more on the wire: what it becomes is for the extension to limit.
        max_fragments: how many frames a message may have; ``None`` is no limit.
        allowed_rsv: the reserved bits that the first frame of a message may have; made of ``RSV1``, ``RSV2`` and
            ``RSV3`` of :mod:`bowstring.constants`.
        decode: whether text comes as ``str``; otherwise as ``bytes`` that are valid UTF-8.

    Raises:
        TypeError: a limit is not an int or ``None``, or ``allowed_rsv`` is not an int.
        ValueError: ``max_message_size`` is negative, ``max_fragments`` is less than 1, or ``allowed_rsv`` has
            other bits.
    """

    __slots__ = (
        "_allowed_rsv",
        "_decode",
        "_error",
        "_expect_masked",
        "_first",
        "_fragments",
        "_head",
        "_head_size",
        "_key",
        "_left",
        "_max_fragments",
        "_max_message_size",
        "_message_rsv",
        "_message_size",
        "_opcode",
        "_payload",
        "_utf8",
    )

    def __init__(
        self,
        *,
        expect_masked: bool,
        max_message_size: int | None = 1048576,
        max_fragments: int | None = 16384,
        allowed_rsv: int = 0,
        decode: bool = True,
    ) -> None:
        self._expect_masked = bool(expect_masked)
        self._max_message_size = check_limit(max_message_size, "max_message_size", 0)
        self._max_fragments = check_limit(max_fragments, "max_fragments", 1)
        self._allowed_rsv = check_rsv(allowed_rsv, "allowed_rsv")
        self._decode = bool(decode)
        self._error: ProtocolError | None = None
        self._forget()

    def __init_subclass__(cls) -> None:
        refuse_subclass(cls)

    def __reduce__(self) -> NoReturn:
        refuse_pickle(self)

    def _forget(self) -> None:
        self._head = b""  # a header that has partly arrived
        # The frame whose payload has partly arrived.
        self._left = 0  # bytes of the payload that are to come; 0 when there is no such frame
        self._first = 0  # the first byte of its header
        self._head_size = 0
        self._key = b""
        self._payload = bytearray()  # what is there of it, unmasked
        # The message that has begun and not ended: its opcode, 0 when there is none.
        self._opcode = 0
        self._message_rsv = 0
        self._message_size = 0
        self._fragments = 0
        # Of the text that is partly there, in a frame or in a message.
        self._utf8 = Utf8Validator()

    def feed(self, data: BytesLike) -> list[Result]:
        """Takes what has arrived, in pieces of any size.

        Args:
            data: the next bytes of the stream; any C-contiguous buffer. It is only read, and only during the call.

        Returns:
            What these bytes completed, in order: ``str`` or ``bytes`` for a whole message without reserved bits,
            a :class:`Frame` for a control frame, a fragment, and every frame of a message with a reserved bit
            (whose text is not checked). When the peer broke a rule, the last item is a
            :exc:`~bowstring.exceptions.ProtocolError`; nothing behind it is looked at, then or later.

        Raises:
            TypeError: ``data`` is not a C-contiguous buffer. Nothing the peer sends raises.
        """
        return self._take(raw_bytes(data, "data"))

    def feed_buffer(self, buffer: BytesLike, nbytes: int) -> list[Result]:
        """Takes what has arrived in a buffer that the caller owns and uses again.

        Args:
            buffer: any C-contiguous buffer, for example that of an ``asyncio.BufferedProtocol``. It is only read,
                and only during the call.
            nbytes: how many of its bytes have arrived, from its first on.

        Returns:
            The same as :meth:`feed`.

        Raises:
            TypeError: ``buffer`` is not a C-contiguous buffer, or ``nbytes`` is not an int.
            ValueError: ``nbytes`` is negative, or more than the buffer has.
        """
        with view_of(buffer, "buffer") as view:
            nbytes = operator.index(nbytes)
            if not 0 <= nbytes <= view.nbytes:
                raise ValueError(f"nbytes must be between 0 and {view.nbytes}, not {nbytes}")
            # A slice counts items: only where these are bytes, no more than what has arrived need be copied.
            data = view[:nbytes].tobytes() if view.format == "B" and view.ndim == 1 else view.tobytes()[:nbytes]
        return self._take(data)

    def _take(self, data: bytes) -> list[Result]:
        results: list[Result] = []
        if self._error is None:
            try:
                self._scan(data, results.append)
            except ProtocolError as error:
                # Only the rule is of interest; a traceback would hold the data of the peer.
                error.__traceback__ = error.__context__ = None
                self._error = error
                self._forget()
                results.append(error)
        return results

    def _scan(self, data: bytes, deliver: Callable[[Result], None]) -> None:
        position = 0
        if self._left:
            position = self._resume(data, deliver)
        elif self._head:
            data = self._head + data
            self._head = b""
        size = len(data)
        mask_bit = MASK if self._expect_masked else 0
        limit = self._max_message_size
        decode = self._decode
        key = b""
        while size - position >= 2:
            first = data[position]
            second = data[position + 1]
            # A message of one frame, with the right mask bit and outside of another message, breaks no rule so far.
            simple = first in (WHOLE_TEXT, WHOLE_BINARY) and second & MASK == mask_bit and not self._opcode
            if not simple:
                self._judge(first, second)
            start = position + 2
            length = second & LENGTH_BITS
            if length >= 126:
                start += 2 if length == 126 else 8
                if start > size:
                    break
                length = _from_bytes(data[position + 2 : start], "big")
                judge_length(length, start - position - 2)
            if not simple or (limit is not None and length > limit):
                self._judge_size(first, length)
            if mask_bit:
                start += 4
                if start > size:
                    break
                key = data[start - 4 : start]
            end = start + length
            if end > size:
                self._left = length
                self._first = first
                self._head_size = start - position
                self._key = key
                self._resume(data[start:], deliver)
                return
            payload = data[start:end]
            if mask_bit:
                payload = xor(payload, key)
            position = end
            if not simple:
                self._check_text(first, payload, last=True)
                deliver(self._end_frame(first, payload))
            elif first == WHOLE_BINARY:
                deliver(payload)
            else:
                try:
                    text = payload.decode()
                except UnicodeDecodeError:
                    raise ProtocolError(Violation.INVALID_UTF8) from None
                deliver(text if decode else payload)
        self._head = data[position:]

    def _judge(self, first: int, second: int) -> None:
        """The rules about the first two bytes of a header."""
        opcode = first & OPCODE_BITS
        # RFC 6455 §5.2: "MUST be 0 unless an extension is negotiated"; RFC 7692 §6: on the first frame of a message.
        allowed = self._allowed_rsv if opcode in (TEXT, BINARY) else 0
        if first & RSV_BITS & ~allowed:
            raise ProtocolError(Violation.RESERVED_BITS)
        # RFC 6455 §5.2: "If an unknown opcode is received, the receiving endpoint MUST fail the connection".
        if opcode not in OPCODE_NAMES:
            raise ProtocolError(Violation.RESERVED_OPCODE, f"0x{opcode:X}")
        if opcode >= CLOSE:
            # RFC 6455 §5.5: control frames are not fragmented and have at most 125 bytes.
            if not first & FIN:
                raise ProtocolError(Violation.FRAGMENTED_CONTROL)
            if second & LENGTH_BITS > MAX_CONTROL_PAYLOAD:
                raise ProtocolError(Violation.CONTROL_TOO_LONG)
        # RFC 6455 §5.4: the fragments of one message come one after the other.
        elif opcode == CONTINUATION and not self._opcode:
            raise ProtocolError(Violation.UNEXPECTED_CONTINUATION)
        elif opcode != CONTINUATION and self._opcode:
            raise ProtocolError(Violation.EXPECTED_CONTINUATION)
        # RFC 6455 §5.1: a client masks every frame, a server none.
        if bool(second & MASK) != self._expect_masked:
            raise ProtocolError(Violation.UNMASKED_FRAME if self._expect_masked else Violation.MASKED_FRAME)

    def _judge_size(self, first: int, length: int) -> None:
        """The limits of a message, before anything of the payload is held (RFC 6455 §10.4)."""
        if first & OPCODE_BITS >= CLOSE:
            return
        fragments = self._fragments + 1
        if self._max_fragments is not None and fragments > self._max_fragments:
            raise ProtocolError(Violation.TOO_MANY_FRAGMENTS, size=fragments, limit=self._max_fragments)
        limit = self._max_message_size
        if limit is not None and limit < NO_LIMIT:
            size = self._message_size + length
            # An extension may have made the message longer than it was: deflate does that to what it cannot compress.
            extended = self._message_rsv or first & RSV_BITS
            if size > (limit + (limit >> 3) + 64 if extended else limit):
                raise ProtocolError(Violation.MESSAGE_TOO_BIG, size=size, limit=limit)

    def _resume(self, data: bytes, deliver: Callable[[Result], None]) -> int:
        """Takes what has come of a payload that is not complete yet; how much of ``data`` that was."""
        piece = data[: self._left]
        if self._expect_masked:
            piece = xor(piece, rotate(self._key, len(self._payload)))
        self._payload += piece
        self._left -= len(piece)
        first = self._first
        self._check_text(first, piece, last=not self._left)
        if not self._left:
            payload = bytes(self._payload)
            self._payload = bytearray()
            if first == WHOLE_TEXT and self._decode:
                deliver(payload.decode())
            elif first in (WHOLE_TEXT, WHOLE_BINARY):
                deliver(payload)
            else:
                deliver(self._end_frame(first, payload))
        return len(piece)

    def _check_text(self, first: int, piece: bytes, *, last: bool) -> None:
        """RFC 6455 §8.1: text is UTF-8, checked as it comes; what an extension has changed is none yet.

        Args:
            piece: the payload of a frame, or the next piece of it.
            last: whether the frame ends with it.
        """
        opcode = first & OPCODE_BITS
        if opcode == CONTINUATION:
            if self._opcode != TEXT or self._message_rsv:
                return
        elif opcode != TEXT or first & RSV_BITS:
            return
        ends = last and first & FIN
        if not self._utf8.feed(piece) or (ends and not self._utf8.at_boundary):
            raise ProtocolError(Violation.INVALID_UTF8)

    def _end_frame(self, first: int, payload: bytes) -> Frame:
        """A complete frame that is not a whole simple message; moves the message on that it belongs to."""
        opcode = first & OPCODE_BITS
        if opcode < CLOSE:
            if first & FIN:
                self._opcode = self._message_rsv = self._message_size = self._fragments = 0
            else:
                if opcode != CONTINUATION:
                    self._opcode = opcode
                    self._message_rsv = first & RSV_BITS
                self._message_size += len(payload)
                self._fragments += 1
        return new_frame(first, payload)

    @property
    def error(self) -> ProtocolError | None:
        """The rule that the peer broke, or ``None``: the same object that ended a list of :meth:`feed`."""
        return self._error

    @property
    def buffered(self) -> int:
        """How many bytes of a partly arrived frame are held, its header included; 0 after an error."""
        return self._head_size + len(self._payload) if self._left else len(self._head)

    @property
    def in_message(self) -> bool:
        """Whether a fragmented message is open: its first frame is complete, its last one is not; no after an error."""
        return self._opcode != 0

    @property
    def expect_masked(self) -> bool:
        """Whether the peer has to mask its frames, as it was given."""
        return self._expect_masked

    @property
    def max_message_size(self) -> int | None:
        """How many bytes a message may have, or ``None``, as it was given."""
        return self._max_message_size

    @property
    def max_fragments(self) -> int | None:
        """How many frames a message may have, or ``None``, as it was given."""
        return self._max_fragments

    @property
    def allowed_rsv(self) -> int:
        """The reserved bits that the first frame of a message may have, as they were given."""
        return self._allowed_rsv

    @property
    def decode(self) -> bool:
        """Whether text comes as ``str``, as it was given."""
        return self._decode


def judge_length(length: int, width: int) -> None:
    """RFC 6455 §5.2: the shortest form has to be used, and the top bit of the 64-bit form is 0."""
    if length >> 63:
        raise ProtocolError(Violation.LENGTH_TOP_BIT)
    if length < (126 if width == 2 else 65536):
        raise ProtocolError(Violation.LENGTH_NOT_MINIMAL, f"{length} in {width * 8} bits")
