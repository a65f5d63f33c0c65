"""Frames written by hand: what the tests compare the codec with, without using it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

KEY = bytes.fromhex("37fa213d")  # the masking key of the examples in RFC 6455 §5.7

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10


def mask(data: bytes, key: bytes = KEY, offset: int = 0) -> bytes:
    """RFC 6455 §5.3, word for word."""
    return bytes(byte ^ key[(offset + i) % 4] for i, byte in enumerate(data))


def header(
    opcode: int, length: int, *, fin: bool = True, rsv: int = 0, masked: bool = False, bits: int | None = None
) -> bytes:
    """A header up to its masking key, with the length in 7, 16 or 64 bits: as few as can be, if not said otherwise."""
    bits = bits or (7 if length < 126 else 16 if length < 65536 else 64)
    second = 0x80 if masked else 0
    if bits == 7:
        extended = b""
        second |= length
    else:
        extended = length.to_bytes(bits // 8, "big")
        second |= 126 if bits == 16 else 127
    return bytes([(0x80 if fin else 0) | rsv | opcode, second]) + extended


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = None,
    bits: int | None = None,
) -> bytes:
    """A whole frame; masked when there is a key."""
    head = header(opcode, len(payload), fin=fin, rsv=rsv, masked=key is not None, bits=bits)
    return head + payload if key is None else head + key + mask(payload, key)


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """``data`` cut at these positions."""
    edges = [0, *sorted(cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def feed_all(decoder: Any, chunks: Iterable[bytes]) -> list[Any]:
    """What comes out of all these chunks."""
    return [result for chunk in chunks for result in decoder.feed(chunk)]


def single_bytes(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]
