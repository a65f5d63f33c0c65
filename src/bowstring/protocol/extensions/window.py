"""What stays of a compressed stream between two messages, and how a message is inflated from it.

The LZ77 sliding window (RFC 7692 §7.1.2) is the last 2**bits bytes of plain text. It is all that an inflater knows
when a message begins, so a new one that is given the window as its dictionary reads on as if nothing had happened.
With zlib that costs no more than looking after the old one would: 0.1 µs. Inflaters are therefore made for each
message, and thrown away.

Each being its own stream also allows to see whether a message ends as it has to. RFC 7692 §7.2.2 puts the four bytes
back that the sender took off; we put a final block behind them, which only an inflater at the boundary of a block and
of a byte reads as one.
"""

from __future__ import annotations

import io
import zlib
from typing import Final

from bowstring.exceptions import ProtocolError, Violation

__all__ = ["CHUNK", "END", "TAIL", "Inflation", "inflate_error", "slide"]

#: RFC 7692 §7.2.1: what a sender takes off a message's end: an empty block without compression, but for its header.
TAIL: Final = b"\x00\x00\xff\xff"

#: What stands at the end of each message when it is inflated: that, and an empty final block.
END: Final = TAIL + b"\x03\x00"

#: In bytes: how much is inflated at a time, so that not much is built in vain when a message is too big.
CHUNK: Final = 1 << 16

#: In bytes: how much zlib is given at a time. It copies what it leaves of that: that must cost less than inflating.
_MAX_STEP: Final = 1 << 14
_MIN_STEP: Final = 1 << 6

#: Final blocks in one message. Each costs us a new inflater, and the sender two bytes.
_MAX_FINAL_BLOCKS: Final = 64


def slide(window: bytes, plain: bytes, size: int) -> bytes:
    """The window after ``plain`` has passed: its last ``size`` (at least 1) bytes, exactly sized."""
    kept = size - len(plain)
    return window[-kept:] + plain if kept > 0 else plain[-size:]


def inflate_error(error: zlib.error) -> ProtocolError:
    """What is wrong with a message, in zlib's words."""
    return ProtocolError(Violation.INVALID_DEFLATE, str(error).rpartition(": ")[2])


class Inflation:
    """One message that is being inflated: fragmented, large, of several streams, or broken.

    Args:
        bits: the size of the sliding window, as its base-2 logarithm.
        window: the plain text so far.
        inflater: the message's, if it has been begun already.

    Attributes:
        window: goes on with the plain text, in the size of ``bits``.
    """

    __slots__ = ("_bits", "_final_blocks", "_inflater", "window")

    def __init__(self, bits: int, window: bytes, inflater: zlib._Decompress | None = None) -> None:
        self.window = window
        self._bits = bits
        self._inflater = zlib.decompressobj(-bits, window) if inflater is None else inflater
        self._final_blocks = 0

    def feed(self, data: bytes, max_size: int | None, plain: bytes = b"") -> bytes:
        """Inflates the next piece of the message.

        Args:
            data: what is to be inflated.
            max_size: how many bytes the result may have.
            plain: the beginning of the result, inflated before.

        Raises:
            ProtocolError: ``INVALID_DEFLATE``, or ``MESSAGE_TOO_BIG`` as soon as the result is one byte too long.
        """
        # Its buffer becomes the result without another copy.
        result = io.BytesIO()
        result.write(plain)
        size = len(plain)
        view = memoryview(data)
        position, step = 0, _MAX_STEP
        pending = False  # whether zlib holds plain text back, perhaps after all of the data
        while True:
            if max_size is not None and size > max_size:
                raise ProtocolError(Violation.MESSAGE_TOO_BIG, "inflating stopped there", size=size, limit=max_size)
            if position == len(view) and not pending:
                return result.getvalue()
            if self._inflater.eof:
                # RFC 7692 §7.2.3.4: a block with BFINAL set ends a stream of DEFLATE, but not the message. What zlib
                # then leaves over is a copy: small steps, lest many short streams make that quadratic.
                self._restart()
                step = _MIN_STEP
            inflater = self._inflater
            piece = view[position : position + step]
            room = CHUNK if max_size is None else min(CHUNK, max_size - size + 1)
            try:
                plain = inflater.decompress(piece, room)
            except zlib.error as error:
                raise inflate_error(error) from None
            size += len(plain)
            result.write(plain)
            self.window = slide(self.window, plain, 1 << self._bits)
            position += len(piece) - len(inflater.unused_data if inflater.eof else inflater.unconsumed_tail)
            pending = len(plain) == room and not inflater.eof
            step = min(2 * step, _MAX_STEP)

    def finish(self) -> None:
        """Checks the message's end, after :data:`END` has been fed.

        Raises:
            ProtocolError: ``INVALID_DEFLATE``: it ended somewhere else.
        """
        if not self._inflater.eof:
            raise ProtocolError(Violation.INVALID_DEFLATE, "message is incomplete")

    def _restart(self) -> None:
        self._final_blocks += 1
        if self._final_blocks > _MAX_FINAL_BLOCKS:
            raise ProtocolError(Violation.INVALID_DEFLATE, f"message has more than {_MAX_FINAL_BLOCKS} final blocks")
        self._inflater = zlib.decompressobj(-self._bits, self.window)
