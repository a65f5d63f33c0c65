"""Masking (RFC 6455 §5.3)."""

from __future__ import annotations

import io
import operator
from typing import Final

from bowstring.typing import BytesLike

from .buffers import raw_bytes, view_of

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


def read_key(masking_key: BytesLike) -> bytes:
    key = raw_bytes(masking_key, "masking_key")
    if len(key) != 4:
        raise ValueError(f"masking_key must be 4 bytes, not {len(key)}")
    return key


#: From this length on, four translations are faster than one long integer (measured: 3.11 and 3.13, x86-64).
TRANSLATE_FROM: Final = 512

#: More than this is masked in blocks: each stays in the cache, and memory is asked for once, for the result.
BLOCK: Final = 1 << 16


def xor(data: bytes, key: bytes) -> bytes:
    """RFC 6455 §5.3: byte i of the payload is XORed with byte i mod 4 of the key."""
    size = len(data)
    if size < TRANSLATE_FROM:
        mask = (key * (size // 4 + 1))[:size]
        return (_from_bytes(data, "little") ^ _from_bytes(mask, "little")).to_bytes(size, "little")
    if size > BLOCK:
        result = io.BytesIO(data)
        for at in range(0, size, BLOCK):
            result.write(xor(data[at : at + BLOCK], key))
        return result.getvalue()
    masked = bytearray(data)
    for i in range(4):
        masked[i::4] = masked[i::4].translate(XOR_TABLES[key[i]])
    return bytes(masked)


#: ``XOR_TABLES[a][b] == a ^ b``
XOR_TABLES: Final = [xor(bytes(range(256)), bytes([byte]) * 4) for byte in range(256)]


def rotate(key: bytes, offset: int) -> bytes:
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
    return xor(raw_bytes(data, "data"), read_key(masking_key))


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
    with view_of(buffer, "buffer") as view:
        if view.readonly:
            raise TypeError("buffer must be writable")
        key = read_key(masking_key)
        offset = operator.index(offset)
        if offset < 0:
            raise ValueError(f"offset must not be negative: {offset}")
        # readinto() writes raw bytes, whatever items the buffer says it has.
        io.BytesIO(xor(view.tobytes(), rotate(key, offset))).readinto(view)
