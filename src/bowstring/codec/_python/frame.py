"""Frames as values."""

from __future__ import annotations

import operator
from typing import Final, NoReturn, final

from bowstring.constants import FIN, RSV1, RSV2, RSV3, Opcode
from bowstring.typing import BytesLike

from .buffers import raw_bytes
from .refusals import refuse_pickle, refuse_subclass

# As plain ints: comparing with the member of an enum, and looking it up, costs more than the rest of a header.
CONTINUATION: Final = int(Opcode.CONTINUATION)
TEXT: Final = int(Opcode.TEXT)
BINARY: Final = int(Opcode.BINARY)
CLOSE: Final = int(Opcode.CLOSE)
OPCODE_NAMES: Final = {int(opcode): opcode.name for opcode in Opcode}
OPCODE_BITS: Final = 0x0F
RSV_BITS: Final = RSV1 | RSV2 | RSV3

# The first bytes of messages of one frame without RSV bits.
WHOLE_TEXT: Final = FIN | TEXT
WHOLE_BINARY: Final = FIN | BINARY


def check_opcode(opcode: int) -> int:
    opcode = int(operator.index(opcode))  # a plain int, also from an enum
    if opcode not in OPCODE_NAMES:
        raise ValueError(f"opcode must be 0, 1, 2, 8, 9 or 10, not {opcode}")
    return opcode


def check_rsv(rsv: int, name: str) -> int:
    rsv = int(operator.index(rsv))
    if rsv & ~RSV_BITS:
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
        self._opcode = check_opcode(opcode)
        self._payload = raw_bytes(payload, "payload")
        self._fin = bool(fin)
        self._rsv = check_rsv(rsv, "rsv")

    def __init_subclass__(cls) -> None:
        refuse_subclass(cls)

    def __reduce__(self) -> NoReturn:
        refuse_pickle(self)

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
        return f"Frame({OPCODE_NAMES[self._opcode]}, {text})"


def new_frame(first: int, payload: bytes) -> Frame:
    """A received frame: its header has been judged, there is nothing to check."""
    frame = Frame.__new__(Frame)
    frame._opcode = first & OPCODE_BITS
    frame._payload = payload
    frame._fin = first & FIN != 0
    frame._rsv = first & RSV_BITS
    return frame
