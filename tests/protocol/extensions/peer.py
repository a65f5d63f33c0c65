"""The other end of a connection, in plain zlib: what our extension has to get along with."""

from __future__ import annotations

import random
import sys
import zlib
from collections.abc import Iterable
from typing import Any

from bowstring import codec
from bowstring.constants import RSV1
from bowstring.protocol.extensions.permessage_deflate import CompressionPool, PerMessageDeflate, Terms

CONTINUATION, TEXT, BINARY = 0, 1, 2
TAIL = b"\x00\x00\xff\xff"

#: zlib-ng and Apple's zlib choose other matches: the same text, in other bytes.
REFERENCE_ZLIB = "ng" not in zlib.ZLIB_RUNTIME_VERSION and sys.platform != "darwin"


def same_bytes(ours: bytes, private: bytes) -> bool:
    return ours == private or not REFERENCE_ZLIB


def make(pool: CompressionPool | None = None, **changes: Any) -> PerMessageDeflate:
    """An extension on terms that are the defaults of a negotiation, but for some."""
    terms: dict[str, Any] = {
        "level": -1,
        "mem_level": 5,
        "threshold": 0,
        "binary": True,
        "compress_bits": 12,
        "compress_takeover": True,
        "inflate_bits": 12,
        "inflate_takeover": True,
    }
    return PerMessageDeflate(Terms(**terms | changes), CompressionPool() if pool is None else pool)


class Peer:
    """Compresses with a private compressor, inflates with a private inflater, as RFC 7692 §7.2 says."""

    def __init__(
        self,
        *,
        level: int = -1,
        mem_level: int = 5,
        bits: int = 12,
        takeover: bool = True,
        inflate_bits: int = 12,
        inflate_takeover: bool = True,
    ) -> None:
        self._new_compressor = lambda: zlib.compressobj(level, zlib.DEFLATED, -bits, mem_level)
        self._new_inflater = lambda: zlib.decompressobj(-inflate_bits)
        self._takeover, self._inflate_takeover = takeover, inflate_takeover
        self._compressor, self._inflater = self._new_compressor(), self._new_inflater()

    def compress(self, plain: bytes) -> bytes:
        """A whole message, without its tail."""
        if not plain:
            return b"\x00"
        data = self._compressor.compress(plain) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        if not self._takeover:
            self._compressor = self._new_compressor()
        assert data.endswith(TAIL)
        return data[:-4]

    def inflate(self, data: bytes) -> bytes:
        """A whole message, its fragments joined."""
        plain = self._inflater.decompress(data + TAIL)
        assert not self._inflater.eof
        if not self._inflate_takeover:
            self._inflater = self._new_inflater()
        return plain


def frames(opcode: int, parts: Iterable[bytes], *, rsv: int = 0) -> list[codec.Frame]:
    """The fragments of a message, or its only frame."""
    parts = list(parts)
    return [
        codec.Frame(opcode if i == 0 else CONTINUATION, part, fin=i == len(parts) - 1, rsv=rsv if i == 0 else 0)
        for i, part in enumerate(parts)
    ]


def cut(data: bytes, rnd: random.Random, pieces: int) -> list[bytes]:
    """Cuts anywhere; some pieces may be empty."""
    places = sorted(rnd.randrange(len(data) + 1) for _ in range(pieces - 1))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def encode(extension: PerMessageDeflate, parts: Iterable[bytes], *, opcode: int = TEXT) -> list[codec.Frame]:
    return [extension.encode(frame) for frame in frames(opcode, parts)]


def receive(extension: PerMessageDeflate, parts: Iterable[bytes], *, max_size: int | None = None) -> bytes:
    """What a compressed message comes to."""
    plain = b""
    for frame in frames(TEXT, parts, rsv=RSV1):
        result = extension.decode(frame, max_size=None if max_size is None else max_size - len(plain))
        assert (result.opcode, result.fin, result.rsv) == (frame.opcode, frame.fin, 0)
        plain += result.payload
    return plain


_WORDS = ["".join(random.Random(i).choices("etaoinshrdlu", k=2 + i % 8)) for i in range(300)]


def text(rnd: random.Random, size: int) -> bytes:
    """Words, which DEFLATE likes."""
    return " ".join(rnd.choices(_WORDS, k=size // 3 + 1)).encode()[:size]


def message(rnd: random.Random, largest: int = 6000) -> bytes:
    """Words, noise, runs, or noise that comes again."""
    size = min(rnd.choice([0, 1, 3, 40, 200, 1000, 4096, 9000]), largest)
    match rnd.randrange(4):
        case 0:
            return rnd.randbytes(size)
        case 1:
            return rnd.randbytes(1) * size
        case 2:
            return (rnd.randbytes(size // 3 + 1) * 3)[:size]
    return text(rnd, size)
