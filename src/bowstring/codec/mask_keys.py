"""Masking keys in stock: the operating system's randomness, fetched in blocks."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable

__all__ = ["MaskKeys"]

#: Keys fetched at a time. A call of the system costs as much as some hundred bytes of randomness.
_BLOCK = 1024

_pools: weakref.WeakSet[MaskKeys] = weakref.WeakSet()


class MaskKeys:
    """A pool of masking keys. Thread-safe; one may serve a whole process.

    RFC 6455 §5.3: a masking key must be unpredictable, so it comes from a strong source. A forked child throws away
    what was in stock: two processes never use the same keys.

    Args:
        source: called with a number of bytes, returns that many random ones. A test may give one of its own.
    """

    __slots__ = ("__weakref__", "_block", "_lock", "_position", "_source")

    _block: bytes
    _position: int

    def __init__(self, source: Callable[[int], bytes] = os.urandom) -> None:
        self._source = source
        self._forget()
        _pools.add(self)

    def take(self, count: int = 1) -> bytes:
        """The next ``count`` keys, each used once: ``4 * count`` bytes.

        Raises:
            ValueError: ``count`` is negative.
        """
        if count < 0:
            raise ValueError(f"count must not be negative: {count}")
        with self._lock:
            start = self._position
            end = start + 4 * count
            if end > len(self._block):
                self._block = self._source(4 * max(count, _BLOCK))
                start, end = 0, 4 * count
            self._position = end
            return self._block[start:end]

    def _forget(self) -> None:
        self._lock = threading.Lock()  # a new one: another thread may have held the old one at the fork
        self._block: bytes = b""
        self._position: int = 0


def _after_fork() -> None:
    for pool in _pools:
        pool._forget()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_after_fork)
