"""Messages that are worth sending."""

from __future__ import annotations

import os
from collections.abc import Iterator

__all__ = ["LENGTHS", "MIB", "TEXT", "large_json", "repetitive_messages"]

MIB = 1 << 20

#: Characters of every length in UTF-8, joined ones, the first and the last.
TEXT = "Grüße, 日本語 🏹 👩\u200d👩\u200d👧 𝄞 \x00 \ufffe \U0010ffff"

#: Where the header of a frame grows.
LENGTHS = (0, 1, 125, 126, 127, 65535, 65536)


def repetitive_messages() -> Iterator[str | bytes]:
    """Messages that repeat themselves, and those before them, within and beyond any window of deflate."""
    noise = os.urandom(30_000).hex()
    for size in (1, 200, 1000, 5000, 40_000, 5000, 300, 0, 60_000):
        text = noise[:size] + noise[: size // 2]
        yield text
        yield text.encode()


def large_json() -> str:
    """A text of some kilobytes in which much is said again and again."""
    return "".join(f'{{"id": {number}, "price": {number * 7919 % 1000}}}, ' for number in range(500))
