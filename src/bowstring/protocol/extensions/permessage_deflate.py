"""permessage-deflate: messages compressed by DEFLATE (RFC 7692 §7).

Theory of operation
-------------------
:class:`Compression` holds the settings and negotiates; :class:`PerMessageDeflate` compresses and inflates the messages
of one connection. With *context takeover* a message may refer to the text of those before it: each side goes on with
a sliding window of 2**bits bytes of plain text.

What a connection keeps between two messages is no more than that text, for either direction, and no live state of
zlib. Inflaters are made for each message (see :mod:`.window`). A compressor takes longer to make, so that those of the
connections that sent last stand in a :class:`CompressionPool`; one that was put out is made again from the window.

With zlib a compressor that was made again goes on with the same bytes on the wire, if it searches lazily (``level``
from 4 up, -1, or 0), and if a block, of up to ``2**(mem_level + 6)`` symbols, is shorter than the ``2**bits - 262``
bytes that zlib looks back: so with the defaults. Otherwise it may choose other matches, or other kinds of blocks: the
same text to any inflater.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final

from bowstring import codec
from bowstring.constants import RSV1, Opcode
from bowstring.exceptions import NegotiationError, Violation
from bowstring.typing import ExtensionParameters

from .negotiation import MAX_BITS, MIN_BITS, MIN_COMPRESS_BITS, Parameters
from .pool import CompressionPool
from .window import CHUNK, END, TAIL, Inflation, inflate_error, slide

if TYPE_CHECKING:
    from bowstring.codec import Frame

    from .base import Extension

__all__ = ["Compression", "CompressionPool", "PerMessageDeflate", "Terms"]

_NAME: Final = "permessage-deflate"
_TEXT: Final = int(Opcode.TEXT)

# RFC 7692 §7.2.1: the tail is taken off.
_BEFORE_TAIL: Final = slice(-len(TAIL))

# RFC 7692 §7.2.3.6: an empty message, and an empty last fragment, are the header of an empty block.
_EMPTY: Final = b"\x00"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """What one side of a connection goes by, once it is negotiated. Connections on the same terms share one object.

    Attributes:
        level, mem_level: what zlib compresses with.
        threshold: in bytes: shorter messages are sent as they are.
        binary: whether binary messages are compressed like text.
        compress_bits: the window that we compress with, as its base-2 logarithm; 0: nothing is compressed.
        compress_takeover: whether our messages refer to those before.
        inflate_bits: the window that the peer compresses with, at most.
        inflate_takeover: whether the peer's messages may refer to those before.
    """

    level: int
    mem_level: int
    threshold: int
    binary: bool
    compress_bits: int
    compress_takeover: bool
    inflate_bits: int
    inflate_takeover: bool


def _compressor(terms: Terms, window: bytes) -> zlib._Compress:
    return zlib.compressobj(
        terms.level, zlib.DEFLATED, -terms.compress_bits, terms.mem_level, zlib.Z_DEFAULT_STRATEGY, window
    )


# One object each, so that a connection holds no copy, and a broadcast can look them up by identity.
_terms = lru_cache(maxsize=256)(Terms)


class PerMessageDeflate:
    """permessage-deflate on one connection. Made by :class:`Compression`.

    Args:
        terms: as negotiated.
        pool: where the live compressor is kept between messages.

    Attributes:
        terms: as given: the same object for all connections on the same terms.
        sent_plain, sent_compressed: bytes of the messages that were sent compressed, before and after.
        received_plain, received_compressed: bytes of the messages that were received compressed, after and before.
    """

    __slots__ = (
        "_compressing",
        "_inflation",
        "_pool",
        "_received",
        "_sent",
        "received_compressed",
        "received_plain",
        "sent_compressed",
        "sent_plain",
        "terms",
    )

    name: ClassVar[str] = _NAME
    rsv: int = RSV1
    all_messages: bool = False

    def __init__(self, terms: Terms, pool: CompressionPool) -> None:
        self.terms = terms
        self.sent_plain = self.sent_compressed = 0
        self.received_plain = self.received_compressed = 0
        self._pool = pool
        self._sent = self._received = b""  # the windows, in either direction
        self._compressing = False  # whether a fragmented message is being sent, and compressed
        self._inflation: Inflation | None = None  # of a fragmented message that is being received

    # ------------------------------------------------------------------ outgoing

    def encode(self, frame: Frame, *, compress: bool | None = None) -> Frame:
        """Compresses a data frame, if its message is to be compressed: that is decided with its first fragment.

        Args:
            frame: a whole message, or one fragment; fragments come in order.
            compress: ``None`` compresses text from ``threshold`` bytes up, and binary messages if the settings say so.

        Returns:
            A frame with RSV1 set and its payload compressed, or the same frame.
        """
        terms = self.terms
        opcode, plain, fin, rsv = frame.opcode, frame.payload, frame.fin, frame.rsv
        if opcode:
            if compress is None:
                compress = len(plain) >= terms.threshold and (opcode == _TEXT or terms.binary)
            if not (compress and terms.compress_bits):
                self._compressing = False
                return frame
            rsv |= RSV1  # RFC 7692 §6.1: in the first fragment only
        elif not self._compressing:
            return frame
        self._compressing = not fin
        if plain:
            window = self._sent
            compressor = (self._pool.take(self) if window else None) or _compressor(terms, window)
            data = compressor.compress(plain) + compressor.flush(zlib.Z_SYNC_FLUSH)
            if fin:
                data = data[_BEFORE_TAIL]
            if terms.compress_takeover or not fin:
                # After a flush, at the end of a fragment too, the window is all that a compressor goes on from.
                self._sent = slide(window, plain, 1 << terms.compress_bits)
                self._pool.put(self, compressor)
        else:
            data = _EMPTY if fin else b""
        if fin and self._sent and not terms.compress_takeover:
            self._forget_sent()
        self.sent_plain += len(plain)
        self.sent_compressed += len(data)
        return codec.Frame(opcode, data, fin=fin, rsv=rsv)

    def encode_shared(self, frame: Frame, *, compress: bool | None = None) -> Frame:
        """Compresses a whole message without context, for every connection on the same :attr:`terms`.

        Each connection that sends the result has to be told by :meth:`sent_shared`. Nothing changes for this one.

        Args:
            frame: a whole message.
            compress: as for :meth:`encode`.

        Returns:
            What :meth:`encode` returns.
        """
        # It is what a connection sends first.
        return PerMessageDeflate(self.terms, CompressionPool(0)).encode(frame, compress=compress)

    def sent_shared(self, frame: Frame, shared: Frame) -> None:
        """Takes note that a shared message goes out on this connection, between the messages of its own.

        Args:
            frame: as given to :meth:`encode_shared`.
            shared: as returned by it.
        """
        if shared is frame:
            return
        plain = frame.payload
        self.sent_plain += len(plain)
        self.sent_compressed += len(shared.payload)
        if plain and self.terms.compress_takeover:
            # The peer's window has this text now. The live compressor has not: what it would send next would be
            # read wrongly, without any error.
            self._pool.take(self)
            self._sent = slide(self._sent, plain, 1 << self.terms.compress_bits)

    def _forget_sent(self) -> None:
        self._pool.take(self)
        self._sent = b""

    # ------------------------------------------------------------------ incoming

    def decode(self, frame: Frame, *, max_size: int | None) -> Frame:
        """Inflates a data frame, if its message is compressed.

        Args:
            frame: one frame of a message; they come in order.
            max_size: how many bytes the result may have; ``None`` is no limit.

        Raises:
            ProtocolError: ``INVALID_DEFLATE``: the data is corrupt, refers to text that the window has not, or does
                not end where the message ends. ``MESSAGE_TOO_BIG``: there is more of it than ``max_size``; no more
                than that has been built, and ``size`` says how far it came.
        """
        data, fin, rsv = frame.payload, frame.fin, frame.rsv
        if frame.opcode:
            if not rsv & RSV1:
                return frame
            rsv ^= RSV1
            if fin:
                plain = self._inflate(data, max_size)
            else:
                self._inflation = Inflation(self.terms.inflate_bits, self._received)
                plain = self._inflation.feed(data, max_size)
        else:
            inflation = self._inflation
            if inflation is None:
                return frame
            plain = inflation.feed(data + END if fin else data, max_size)
            if fin:
                self._inflation = None
                self._finish(inflation)
        self.received_plain += len(plain)
        self.received_compressed += len(data)
        return codec.Frame(frame.opcode, plain, fin=fin, rsv=rsv)

    def _inflate(self, data: bytes, max_size: int | None) -> bytes:
        """Inflates a message that is one frame."""
        terms = self.terms
        inflater = zlib.decompressobj(-terms.inflate_bits, self._received)
        room = CHUNK if max_size is None or max_size >= CHUNK else max_size + 1
        try:
            plain = inflater.decompress(data + END, room)
        except zlib.error as error:
            raise inflate_error(error) from None
        if inflater.eof and not inflater.unused_data and len(plain) < room:
            if terms.inflate_takeover:
                self._received = slide(self._received, plain, 1 << terms.inflate_bits)
            return plain
        # It is large, has a final block of its own, or is broken.
        window = slide(self._received, plain, 1 << terms.inflate_bits)
        inflation = Inflation(terms.inflate_bits, window, inflater)
        plain = inflation.feed(inflater.unused_data or inflater.unconsumed_tail, max_size, plain)
        self._finish(inflation)
        return plain

    def _finish(self, inflation: Inflation) -> None:
        inflation.finish()
        if self.terms.inflate_takeover:
            self._received = inflation.window

    def close(self) -> None:
        """The connection has ended: gives up its windows, and its place in the pool."""
        self._forget_sent()
        self._received = b""
        self._inflation = None


@dataclass(frozen=True, kw_only=True)
class Compression:
    """The settings of permessage-deflate, for a client, a server, or both (RFC 7692 §7.1).

    Args:
        server_no_context_takeover: whether each message of the server is compressed by itself. A client asks for it;
            a server does so for clients that do not ask, too.
        client_no_context_takeover: the same for the client's messages.
        server_max_window_bits: the sliding window that the server compresses with, at most: the base-2 logarithm of
            its size in bytes, 8 to 15. What a server agrees to is never more.
        client_max_window_bits: the same for the client's messages.
        level: zlib's level, 0 to 9, or -1 for zlib's default.
        mem_level: zlib's memLevel, 1 to 9: how much memory a compressor takes.
        threshold: in bytes: shorter messages are sent as they are.
        binary: whether binary messages are compressed like text; otherwise only those sent with ``compress=True``.
        pool: where live compressors are kept between messages. ``None`` leaves it to who uses these settings;
            without any, they have one of their own, which is for one thread.

    A client offers these sizes and, as its second choice, any size, which is what browsers offer: some servers cannot
    limit their window. A server whose client does not let it limit the client's window to less than 15 bits answers
    with ``client_no_context_takeover``, so that nothing has to be kept for that client.

    zlib inflates with a window of 8 bits, but cannot compress with one. A server therefore declines what asks it to,
    its own ``server_max_window_bits=8`` included. A client with ``client_max_window_bits=8`` cannot make an offer; to
    a server that answers 8 to another offer it sends its messages uncompressed.
    """

    name: ClassVar[str] = _NAME

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = 12
    client_max_window_bits: int = 12
    level: int = -1
    mem_level: int = 5
    threshold: int = 128
    binary: bool = False
    pool: CompressionPool | None = field(default=None, repr=False, compare=False)
    _pool: CompressionPool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("server_no_context_takeover", "client_no_context_takeover", "binary"):
            if not isinstance(value := getattr(self, name), bool):
                raise TypeError(f"{name} must be a bool, not {type(value).__name__!r}")
        self._check("server_max_window_bits", MIN_BITS, MAX_BITS)
        self._check("client_max_window_bits", MIN_BITS, MAX_BITS)
        self._check("level", -1, 9)
        self._check("mem_level", 1, 9)
        self._check("threshold", 0, None)
        if self.pool is not None and not isinstance(self.pool, CompressionPool):
            raise TypeError(f"pool must be a CompressionPool or None, not {type(self.pool).__name__!r}")
        object.__setattr__(self, "_pool", CompressionPool() if self.pool is None else self.pool)

    def _check(self, name: str, low: int, high: int | None) -> None:
        value: Any = getattr(self, name)
        if not isinstance(value, int):
            raise TypeError(f"{name} must be an int, not {type(value).__name__!r}")
        if value < low or (high is not None and value > high):
            allowed = f"at least {low}" if high is None else f"{low} to {high}"
            raise ValueError(f"{name} must be {allowed}, not {value}")

    def with_pool(self, pool: CompressionPool) -> Compression:
        """The same settings, with another pool."""
        return replace(self, pool=pool)

    # ------------------------------------------------------------------ as a client

    def offers(self) -> Sequence[ExtensionParameters]:
        """The parameter lists to offer, the preferred one first.

        Raises:
            ValueError: ``client_max_window_bits`` is 8.
        """
        if self.client_max_window_bits < MIN_COMPRESS_BITS:
            raise ValueError(
                f"client_max_window_bits must be {MIN_COMPRESS_BITS} to {MAX_BITS} for a client, "
                f"not {self.client_max_window_bits}: zlib cannot compress with such a window"
            )
        bits = self.server_max_window_bits
        preferred = Parameters(
            server_no_context_takeover=self.server_no_context_takeover,
            client_no_context_takeover=self.client_no_context_takeover,
            server_max_window_bits=bits if bits < MAX_BITS else None,
            client_max_window_bits=self.client_max_window_bits,
        )
        # RFC 7692 §7.1.2.1: a server that cannot limit its window has to decline an offer that says so. And some
        # answer with a client_max_window_bits of their own, larger than the one that was offered.
        fallback = replace(preferred, server_max_window_bits=None, client_max_window_bits=MAX_BITS)
        return [preferred.build()] if fallback == preferred else [preferred.build(), fallback.build()]

    def accept(self, parameters: ExtensionParameters, accepted: Sequence[Extension]) -> PerMessageDeflate:
        """Takes the server's answer.

        Args:
            parameters: as the server sent them.
            accepted: the extensions before this one in the server's answer.

        Raises:
            NegotiationError: the answer is not valid, does not fit any of the offers, or RSV1 is taken already.
        """
        try:
            answer = Parameters.parse(parameters, answer=True)
            # RFC 7692 §7.1.1.1: both offers have it. They leave the sizes open; so does RFC 7692 for what remains.
            if self.server_no_context_takeover and not answer.server_no_context_takeover:
                raise ValueError("server_no_context_takeover is missing")
            if any(extension.rsv & RSV1 for extension in accepted):
                raise ValueError("RSV1 is taken by another extension")
        except ValueError as error:
            raise NegotiationError(Violation.EXTENSION_NOT_OFFERED, f"{_NAME}: {error}") from None
        bits = min(self.client_max_window_bits, answer.client_max_window_bits or MAX_BITS)
        return self._extension(
            compress_bits=bits if bits >= MIN_COMPRESS_BITS else 0,
            # RFC 7692 §7.1.1.2: what our offer says of us holds, repeated by the server or not.
            compress_takeover=not (self.client_no_context_takeover or answer.client_no_context_takeover),
            inflate_bits=answer.server_max_window_bits or MAX_BITS,
            inflate_takeover=not answer.server_no_context_takeover,
        )

    # ------------------------------------------------------------------ as a server

    def respond(
        self, parameters: ExtensionParameters, accepted: Sequence[Extension]
    ) -> tuple[ExtensionParameters, PerMessageDeflate] | None:
        """Answers one offer of a client.

        Args:
            parameters: one offer as the client sent it.
            accepted: the extensions taken before this one.

        Returns:
            The parameters of the answer and the extension, or ``None`` to decline the offer.
        """
        try:
            offer = Parameters.parse(parameters, answer=False)
        except ValueError:
            return None
        server_bits = min(self.server_max_window_bits, offer.server_max_window_bits or MAX_BITS)
        if server_bits < MIN_COMPRESS_BITS or any(extension.rsv & RSV1 for extension in accepted):
            return None
        client_bits = min(self.client_max_window_bits, offer.client_max_window_bits or MAX_BITS)
        client_no_context_takeover = self.client_no_context_takeover or offer.client_no_context_takeover
        if offer.client_max_window_bits is None and client_bits < MAX_BITS:
            # RFC 7692 §7.1.2.2: the answer must not limit the client's window then. But it may forbid to keep one.
            client_bits = MAX_BITS
            client_no_context_takeover = True
        answer = Parameters(
            server_no_context_takeover=self.server_no_context_takeover or offer.server_no_context_takeover,
            client_no_context_takeover=client_no_context_takeover,
            # RFC 7692 §7.1.2.1: has to be in the answer to an offer that has it, and may be in any other.
            server_max_window_bits=server_bits if offer.server_max_window_bits or server_bits < MAX_BITS else None,
            client_max_window_bits=client_bits if client_bits < MAX_BITS else None,
        )
        return answer.build(), self._extension(
            compress_bits=server_bits,
            compress_takeover=not answer.server_no_context_takeover,
            inflate_bits=client_bits,
            inflate_takeover=not client_no_context_takeover,
        )

    def _extension(
        self, *, compress_bits: int, compress_takeover: bool, inflate_bits: int, inflate_takeover: bool
    ) -> PerMessageDeflate:
        terms = _terms(
            level=self.level,
            mem_level=self.mem_level,
            threshold=self.threshold,
            binary=self.binary,
            compress_bits=compress_bits,
            compress_takeover=compress_takeover,
            inflate_bits=inflate_bits,
            inflate_takeover=inflate_takeover,
        )
        return PerMessageDeflate(terms, self._pool)
