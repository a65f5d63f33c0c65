"""The reference twin of the codec: what ``_cython`` does, in plain Python and in the same order of definitions.

Theory of operation
-------------------
A chunk goes through one loop that reads a header, judges it, and takes the payload behind it. Two things can be cut
off by the chunk's end: a header, whose bytes are put before the next chunk and judged again from the first one (they
change no state, and there are at most 14); and a payload, which is unmasked, and checked when it is text, piece by
piece as it arrives. A broken rule leaves the loop as a ``ProtocolError``; ``feed`` makes it the last item of its list.
"""

from __future__ import annotations

import codecs
import io
import operator
import struct
from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn, TypeAlias, final

from bowstring.constants import FIN, MASK, MAX_CONTROL_PAYLOAD, RSV1, RSV2, RSV3, Opcode
from bowstring.exceptions import ProtocolError, Violation
from bowstring.typing import BytesLike

IMPLEMENTATION: Final = "python"

# As plain ints: comparing with the member of an enum, and looking it up, costs more than the rest of a header.
_CONTINUATION: Final = int(Opcode.CONTINUATION)
_TEXT: Final = int(Opcode.TEXT)
_BINARY: Final = int(Opcode.BINARY)
_CLOSE: Final = int(Opcode.CLOSE)
_OPCODE_NAMES: Final = {int(opcode): opcode.name for opcode in Opcode}
_OPCODE_BITS: Final = 0x0F
_RSV_BITS: Final = RSV1 | RSV2 | RSV3

# The first bytes of messages of one frame without RSV bits.
_WHOLE_TEXT: Final = FIN | _TEXT
_WHOLE_BINARY: Final = FIN | _BINARY

_from_bytes = int.from_bytes


def simd_level() -> str:
    """The loop that masks.

    One of ``"avx512"``, ``"avx2"``, ``"sse2"``, ``"neon"`` and ``"portable"``; ``"none"`` in pure Python.
    """
    return "none"


def simd_levels() -> tuple[str, ...]:
    """What this machine can run, best first. The first one is in use unless ``BOWSTRING_SIMD`` names another."""
    return ("none",)


def set_simd_level(name: str) -> None:
    """Takes another loop for masking, in the whole process: for tests and benchmarks.

    Args:
        name: one of :func:`simd_levels`.

    Raises:
        ValueError: this machine has no such level.
    """
    if name not in simd_levels():
        raise ValueError(f"SIMD level must be one of none, not {name!r}")


def _view(value: Any, name: str, wanted: str = "a bytes-like object") -> memoryview:
    """A view of an argument, for a ``with``: no export of the caller's buffer may outlive the call."""
    try:
        view = memoryview(value)
    except TypeError:
        raise TypeError(f"{name} must be {wanted}, not {type(value).__name__!r}") from None
    if not view.c_contiguous:
        view.release()
        raise TypeError(f"{name} must be C-contiguous")
    return view


def _raw(value: Any, name: str, wanted: str = "a bytes-like object") -> bytes:
    """The raw bytes of an argument, copied unless they are ``bytes``."""
    if type(value) is bytes:
        return value
    with _view(value, name, wanted) as view:
        return view.tobytes()


def _key(masking_key: BytesLike) -> bytes:
    key = _raw(masking_key, "masking_key")
    if len(key) != 4:
        raise ValueError(f"masking_key must be 4 bytes, not {len(key)}")
    return key


#: From this length on, four translations are faster than one long integer (measured: 3.11 and 3.13, x86-64).
_TRANSLATE_FROM: Final = 512


def _xor(data: bytes, key: bytes) -> bytes:
    """RFC 6455 §5.3: byte i of the payload is XORed with byte i mod 4 of the key."""
    size = len(data)
    if size < _TRANSLATE_FROM:
        mask = (key * (size // 4 + 1))[:size]
        return (_from_bytes(data, "little") ^ _from_bytes(mask, "little")).to_bytes(size, "little")
    masked = bytearray(data)
    for i in range(4):
        masked[i::4] = masked[i::4].translate(_XOR_TABLES[key[i]])
    return bytes(masked)


#: ``_XOR_TABLES[a][b] == a ^ b``
_XOR_TABLES: Final = [bytes(a ^ b for b in range(256)) for a in range(256)]


def _rotate(key: bytes, offset: int) -> bytes:
    """The key as it meets a payload from byte ``offset`` on."""
    phase = offset % 4
    return key[phase:] + key[:phase]


def apply_mask(data: BytesLike, masking_key: BytesLike) -> bytes:
    """Masks a payload, or unmasks it, which is the same (RFC 6455 §5.3).

    Args:
        data: the payload; any C-contiguous buffer. It is only read.
        masking_key: 4 bytes; any C-contiguous buffer.

    Returns:
        As many bytes, each XOR the key's byte at its position modulo 4.

    Raises:
        TypeError: an argument is not a C-contiguous buffer.
        ValueError: the key does not have 4 bytes.
    """
    return _xor(_raw(data, "data"), _key(masking_key))


def mask_in_place(buffer: BytesLike, masking_key: BytesLike, offset: int = 0) -> None:
    """Masks or unmasks a payload, or a piece of one, where it stands (RFC 6455 §5.3).

    Args:
        buffer: what to mask; any writable C-contiguous buffer.
        masking_key: 4 bytes; any C-contiguous buffer.
        offset: the position of the buffer's first byte in the payload, in bytes.

    Raises:
        TypeError: an argument is not a C-contiguous buffer, ``buffer`` is read-only, ``offset`` is not an int.
        ValueError: the key does not have 4 bytes, or ``offset`` is negative.
    """
    with _view(buffer, "buffer") as view:
        if view.readonly:
            raise TypeError("buffer must be writable")
        key = _key(masking_key)
        offset = operator.index(offset)
        if offset < 0:
            raise ValueError(f"offset must not be negative: {offset}")
        # readinto() writes raw bytes, whatever items the buffer says it has.
        io.BytesIO(_xor(view.tobytes(), _rotate(key, offset))).readinto(view)


def _refuse_subclass(cls: type, **_: object) -> NoReturn:
    base = cls.__bases__[0]
    raise TypeError(f"type '{base.__module__}.{base.__qualname__}' is not an acceptable base type")


def _refuse_pickle(self: object) -> NoReturn:
    raise TypeError(f"cannot pickle {type(self).__name__!r} object")


@final
class Utf8Validator:
    """Checks UTF-8 that comes in pieces (RFC 6455 §8.1; RFC 3629).

    Overlong forms, surrogates and what is above U+10FFFF are invalid, as RFC 3629 §4 draws it.
    """

    __slots__ = ("_held", "_valid")

    _held: bytes  # the beginning of a character
    _valid: bool

    def __init__(self) -> None:
        self.reset()

    __init_subclass__ = _refuse_subclass
    __reduce__ = _refuse_pickle

    def feed(self, data: BytesLike) -> bool:
        """Checks the next piece.

        Args:
            data: the piece, of any length; any C-contiguous buffer.

        Returns:
            Whether what has come so far can still become valid text: ``False`` from the first impossible byte on,
            until :meth:`reset`.

        Raises:
            TypeError: ``data`` is not a C-contiguous buffer.
        """
        text = self._held + _raw(data, "data")
        if self._valid:
            try:
                self._held = text[codecs.utf_8_decode(text, "strict", False)[1] :]
            except UnicodeDecodeError:
                self._valid = False
            else:
                # Of all that is impossible, Python's decoder waits for the end of a surrogate only.
                self._valid = not b"\xed\xa0" <= self._held < b"\xee"
        return self._valid

    @property
    def at_boundary(self) -> bool:
        """Whether the text may end here: valid so far, and not inside of a character."""
        return self._valid and not self._held

    def reset(self) -> None:
        """Forgets what has come: the next piece begins a new text."""
        self._held = b""
        self._valid = True


def _check_opcode(opcode: int) -> int:
    opcode = int(operator.index(opcode))  # a plain int, also from an enum
    if opcode not in _OPCODE_NAMES:
        raise ValueError(f"opcode must be 0, 1, 2, 8, 9 or 10, not {opcode}")
    return opcode


def _check_rsv(rsv: int, name: str) -> int:
    rsv = int(operator.index(rsv))
    if rsv & ~_RSV_BITS:
        raise ValueError(f"{name} must be made of RSV1, RSV2 and RSV3, not {rsv:#x}")
    return rsv


@final
class Frame:
    """One frame (RFC 6455 §5.2). Immutable, hashable, equal by value, not picklable.

    Args:
        opcode: 0, 1, 2, 8, 9 or 10; an :class:`~bowstring.constants.Opcode` or a plain int.
        payload: the data, not masked; any C-contiguous buffer. ``bytes`` are taken as they are, others are copied.
        fin: whether this is the last fragment of its message.
        rsv: the reserved bits that are set; made of ``RSV1``, ``RSV2`` and ``RSV3`` of :mod:`bowstring.constants`.

    Raises:
        TypeError: ``opcode`` or ``rsv`` is not an int, or ``payload`` is not a C-contiguous buffer.
        ValueError: ``opcode`` or ``rsv`` has another value.
    """

    __slots__ = ("_fin", "_opcode", "_payload", "_rsv")

    def __init__(self, opcode: int, payload: BytesLike = b"", *, fin: bool = True, rsv: int = 0) -> None:
        if hasattr(self, "_rsv"):
            raise AttributeError("Frame is immutable")
        self._opcode = _check_opcode(opcode)
        self._payload = _raw(payload, "payload")
        self._fin = bool(fin)
        self._rsv = _check_rsv(rsv, "rsv")

    __init_subclass__ = _refuse_subclass
    __reduce__ = _refuse_pickle

    @property
    def opcode(self) -> int:
        """What the frame carries: 0, 1, 2, 8, 9 or 10 (RFC 6455 §5.2)."""
        return self._opcode

    @property
    def payload(self) -> bytes:
        """The data, not masked."""
        return self._payload

    @property
    def fin(self) -> bool:
        """Whether this is the last fragment of its message."""
        return self._fin

    @property
    def rsv(self) -> int:
        """The reserved bits that are set: made of ``RSV1``, ``RSV2`` and ``RSV3``."""
        return self._rsv

    @property
    def rsv1(self) -> bool:
        """Whether the first reserved bit is set: a compressed message, with permessage-deflate (RFC 7692 §6)."""
        return self._rsv & RSV1 != 0

    @property
    def rsv2(self) -> bool:
        """Whether the second reserved bit is set."""
        return self._rsv & RSV2 != 0

    @property
    def rsv3(self) -> bool:
        """Whether the third reserved bit is set."""
        return self._rsv & RSV3 != 0

    def _values(self) -> tuple[int, bytes, bool, int]:
        return self._opcode, self._payload, self._fin, self._rsv

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if isinstance(other, Frame) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        payload = self._payload
        text = repr(payload) if len(payload) <= 64 else f"{payload[:64]!r}… ({len(payload)} bytes)"
        if not self._fin:
            text += ", fin=False"
        if self._rsv:
            bits = (("RSV1", RSV1), ("RSV2", RSV2), ("RSV3", RSV3))
            text += ", rsv=" + " | ".join(name for name, bit in bits if self._rsv & bit)
        return f"Frame({_OPCODE_NAMES[self._opcode]}, {text})"


def _frame(first: int, payload: bytes) -> Frame:
    """A received frame: its header has been judged, there is nothing to check."""
    frame = Frame.__new__(Frame)
    frame._opcode = first & _OPCODE_BITS
    frame._payload = payload
    frame._fin = first & FIN != 0
    frame._rsv = first & _RSV_BITS
    return frame


#: RFC 6455 §5.2: no frame can have as many bytes; for a message, that is as good as no limit.
_NO_LIMIT: Final = 1 << 63

_Result: TypeAlias = "str | bytes | Frame | ProtocolError"


def _check_limit(value: int | None, name: str, least: int) -> int | None:
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
        "_is_text",
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
        self._max_message_size = _check_limit(max_message_size, "max_message_size", 0)
        self._max_fragments = _check_limit(max_fragments, "max_fragments", 1)
        self._allowed_rsv = _check_rsv(allowed_rsv, "allowed_rsv")
        self._decode = bool(decode)
        self._error: ProtocolError | None = None
        self._forget()

    __init_subclass__ = _refuse_subclass
    __reduce__ = _refuse_pickle

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

    def feed(self, data: BytesLike) -> list[_Result]:
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
        return self._take(_raw(data, "data"))

    def feed_buffer(self, buffer: BytesLike, nbytes: int) -> list[_Result]:
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
        with _view(buffer, "buffer") as view:
            nbytes = operator.index(nbytes)
            if not 0 <= nbytes <= view.nbytes:
                raise ValueError(f"nbytes must be between 0 and {view.nbytes}, not {nbytes}")
            data = view[:nbytes].tobytes() if view.format == "B" and view.ndim == 1 else view.tobytes()[:nbytes]
        return self._take(data)

    def _take(self, data: bytes) -> list[_Result]:
        results: list[_Result] = []
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

    def _scan(self, data: bytes, deliver: Callable[[_Result], None]) -> None:
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
        while size - position >= 2:
            first = data[position]
            second = data[position + 1]
            # A message of one frame, with the right mask bit and outside of another message, breaks no rule so far.
            simple = first in (_WHOLE_TEXT, _WHOLE_BINARY) and second & MASK == mask_bit and not self._opcode
            if not simple:
                self._judge(first, second)
            start = position + 2
            length = second & 0x7F
            if length >= 126:
                start += 2 if length == 126 else 8
                if start > size:
                    break
                length = _from_bytes(data[position + 2 : start], "big")
                _judge_length(length, start - position - 2)
            if not simple or (limit is not None and length > limit):
                self._judge_size(first, length)
            if mask_bit:
                start += 4
                if start > size:
                    break
            end = start + length
            if end > size:
                self._first = first
                self._head_size = start - position
                self._key = data[start - 4 : start]
                self._left = length
                self._resume(data[start:], deliver)
                return
            payload = data[start:end]
            if mask_bit:
                payload = _xor(payload, data[start - 4 : start])
            position = end
            if not simple:
                self._check_text(first, payload, last=True)
                deliver(self._end_frame(first, payload))
            elif first == _WHOLE_BINARY:
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
        opcode = first & _OPCODE_BITS
        # RFC 6455 §5.2: "MUST be 0 unless an extension is negotiated"; RFC 7692 §6: on the first frame of a message.
        allowed = self._allowed_rsv if opcode in (_TEXT, _BINARY) else 0
        if first & _RSV_BITS & ~allowed:
            raise ProtocolError(Violation.RESERVED_BITS)
        # RFC 6455 §5.2: "If an unknown opcode is received, the receiving endpoint MUST fail the connection".
        if opcode not in _OPCODE_NAMES:
            raise ProtocolError(Violation.RESERVED_OPCODE, f"0x{opcode:X}")
        if opcode >= _CLOSE:
            # RFC 6455 §5.5: control frames are not fragmented and have at most 125 bytes.
            if not first & FIN:
                raise ProtocolError(Violation.FRAGMENTED_CONTROL)
            if second & 0x7F > MAX_CONTROL_PAYLOAD:
                raise ProtocolError(Violation.CONTROL_TOO_LONG)
        # RFC 6455 §5.4: the fragments of one message come one after the other.
        elif opcode == _CONTINUATION and not self._opcode:
            raise ProtocolError(Violation.UNEXPECTED_CONTINUATION)
        elif opcode != _CONTINUATION and self._opcode:
            raise ProtocolError(Violation.EXPECTED_CONTINUATION)
        # RFC 6455 §5.1: a client masks every frame, a server none.
        if bool(second & MASK) != self._expect_masked:
            raise ProtocolError(Violation.UNMASKED_FRAME if self._expect_masked else Violation.MASKED_FRAME)

    def _judge_size(self, first: int, length: int) -> None:
        """The limits of a message, before anything of the payload is held (RFC 6455 §10.4)."""
        if first & _OPCODE_BITS >= _CLOSE:
            return
        fragments = self._fragments + 1
        if self._max_fragments is not None and fragments > self._max_fragments:
            raise ProtocolError(Violation.TOO_MANY_FRAGMENTS, size=fragments, limit=self._max_fragments)
        limit = self._max_message_size
        if limit is not None and limit < _NO_LIMIT:
            size = self._message_size + length
            # An extension may have made the message longer than it was: deflate does that to what it cannot compress.
            extended = self._message_rsv or first & _RSV_BITS
            if size > (limit + (limit >> 3) + 64 if extended else limit):
                raise ProtocolError(Violation.MESSAGE_TOO_BIG, size=size, limit=limit)

    def _resume(self, data: bytes, deliver: Callable[[_Result], None]) -> int:
        """Takes what has come of a payload that is not complete yet; how much of ``data`` that was."""
        piece = data[: self._left]
        if self._expect_masked:
            piece_key = _rotate(self._key, len(self._payload))
            piece = _xor(piece, piece_key)
        self._payload += piece
        self._left -= len(piece)
        first = self._first
        self._check_text(first, piece, last=not self._left)
        if not self._left:
            payload = bytes(self._payload)
            self._payload = bytearray()
            if first == _WHOLE_TEXT and self._decode:
                deliver(payload.decode())
            elif first in (_WHOLE_TEXT, _WHOLE_BINARY):
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
        opcode = first & _OPCODE_BITS
        if opcode == _CONTINUATION:
            if self._opcode != _TEXT or self._message_rsv:
                return
        elif opcode != _TEXT or first & _RSV_BITS:
            return
        ends = last and first & FIN
        if not self._utf8.feed(piece) or (ends and not self._utf8.at_boundary):
            raise ProtocolError(Violation.INVALID_UTF8)

    def _end_frame(self, first: int, payload: bytes) -> Frame:
        """A complete frame that is not a whole simple message; moves the message on that it belongs to."""
        opcode = first & _OPCODE_BITS
        if opcode < _CLOSE:
            if first & FIN:
                self._opcode = self._message_rsv = self._message_size = self._fragments = 0
            else:
                if opcode != _CONTINUATION:
                    self._opcode = opcode
                    self._message_rsv = first & _RSV_BITS
                self._message_size += len(payload)
                self._fragments += 1
        return _frame(first, payload)

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


def _judge_length(length: int, width: int) -> None:
    """RFC 6455 §5.2: the shortest form has to be used, and the top bit of the 64-bit form is 0."""
    if length >> 63:
        raise ProtocolError(Violation.LENGTH_TOP_BIT)
    if length < (126 if width == 2 else 65536):
        raise ProtocolError(Violation.LENGTH_NOT_MINIMAL, f"{length} in {width * 8} bits")


def _build(first: int, payload: bytes, key: bytes | None) -> tuple[bytes, bytes]:
    """The header and the payload of a frame as they go on the wire (RFC 6455 §5.2)."""
    size = len(payload)
    mask_bit = 0 if key is None else MASK
    if size < 126:
        header = bytes((first, mask_bit | size))
    elif size < 65536:
        header = struct.pack("!BBH", first, mask_bit | 126, size)
    else:
        header = struct.pack("!BBQ", first, mask_bit | 127, size)
    return (header, payload) if key is None else (header + key, _xor(payload, key))


def _first_byte(opcode: int, size: int, fin: bool, rsv: int) -> int:
    """The first byte of a frame to send, or ``ValueError`` where RFC 6455 §5.5 has no such control frame."""
    if opcode >= _CLOSE:
        if not fin:
            raise ValueError("control frames must not be fragmented")
        if rsv:
            raise ValueError("rsv must be 0 on control frames")
        if size > MAX_CONTROL_PAYLOAD:
            raise ValueError(f"payload of a control frame must be at most 125 bytes, not {size}")
    return (FIN if fin else 0) | rsv | opcode


def encode_frame(
    opcode: int,
    payload: str | BytesLike = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masking_key: BytesLike | None = None,
) -> bytes:
    """Builds one frame, its length in the shortest form (RFC 6455 §5.2).

    Args:
        opcode: 0, 1, 2, 8, 9 or 10; an :class:`~bowstring.constants.Opcode` or a plain int.
        payload: any C-contiguous buffer; for text and continuation frames also ``str``, sent as UTF-8. It is only
            read: with a masking key, the copy in the frame is masked.
        fin: whether this is the last fragment of its message.
        rsv: the reserved bits to set; made of ``RSV1``, ``RSV2`` and ``RSV3`` of :mod:`bowstring.constants`.
        masking_key: 4 unpredictable bytes, which a client has to use (RFC 6455 §5.3), or ``None``, as a server must.

    Returns:
        The frame as it goes on the wire.

    Raises:
        TypeError: ``opcode`` or ``rsv`` is not an int, or another argument is not a C-contiguous buffer.
        ValueError: ``opcode`` or ``rsv`` has another value, the key does not have 4 bytes, or a control frame is
            fragmented, has a reserved bit or more than 125 bytes (RFC 6455 §5.5).
        UnicodeEncodeError: the text has a lone surrogate.
    """
    opcode = _check_opcode(opcode)
    rsv = _check_rsv(rsv, "rsv")
    raw = str.encode(payload) if isinstance(payload, str) and opcode <= _TEXT else _raw(payload, "payload")
    first = _first_byte(opcode, len(raw), fin, rsv)
    header, raw = _build(first, raw, None if masking_key is None else _key(masking_key))
    return header + raw


def encode_frames(frames: Iterable[str | BytesLike | Frame], *, masking_keys: BytesLike | None = None) -> bytes:
    """Builds many frames in one go: what :func:`encode_frame` makes of each, joined.

    Args:
        frames: an iterable; a ``str`` goes as a text message, a C-contiguous buffer as a binary one, a
            :class:`Frame` as it is.
        masking_keys: 4 unpredictable bytes for each frame, in order, which a client has to use (RFC 6455 §5.3), or
            ``None``, as a server must.

    Returns:
        The frames as they go on the wire; no bytes for no frames.

    Raises:
        TypeError: ``frames`` or ``masking_keys`` is not what it has to be, or an item of ``frames`` is not.
        ValueError: there are not 4 bytes of ``masking_keys`` for each frame, or a control frame is fragmented, has
            a reserved bit or more than 125 bytes (RFC 6455 §5.5).
        UnicodeEncodeError: a text has a lone surrogate.
    """
    items = tuple(frames)
    keys = None if masking_keys is None else _raw(masking_keys, "masking_keys")
    if keys is not None and len(keys) != 4 * len(items):
        raise ValueError(f"masking_keys must be {4 * len(items)} bytes (4 for each frame), not {len(keys)}")
    built: list[bytes] = []
    for index, item in enumerate(items):
        if isinstance(item, Frame):
            payload = item._payload
            first = _first_byte(item._opcode, len(payload), item._fin, item._rsv)
        elif isinstance(item, str):
            first, payload = _WHOLE_TEXT, str.encode(item)
        else:
            first = _WHOLE_BINARY
            payload = _raw(item, f"frames[{index}]", "a str, a bytes-like object or a Frame")
        built += _build(first, payload, None if keys is None else keys[4 * index : 4 * index + 4])
    return b"".join(built)
