"""Live compressors, shared by many connections: a bounded pool, least recently used out first."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import zlib

    from .permessage_deflate import PerMessageDeflate

__all__ = ["CompressionPool"]


class CompressionPool:
    """Keeps the compressors of the connections that sent last.

    A compressor with a window of 12 bits and ``mem_level`` 5 takes about 40 KiB, and an idle connection needs none:
    from the last window of plain text one can be made again. That takes some microseconds, so those in use are kept.

    One pool serves all connections of an event loop. Threads can share one that has a lock.

    Args:
        max_compressors: how many are kept at most; 0 keeps none.
        lock: held while the pool is looked at, never while something is compressed; for pools that threads share.
    """

    __slots__ = ("_live", "_lock", "_max_compressors")

    def __init__(self, max_compressors: int = 128, *, lock: AbstractContextManager[Any] | None = None) -> None:
        if not isinstance(max_compressors, int):
            raise TypeError(f"max_compressors must be an int, not {type(max_compressors).__name__!r}")
        if max_compressors < 0:
            raise ValueError(f"max_compressors must be at least 0, not {max_compressors}")
        if lock is not None and not isinstance(lock, AbstractContextManager):
            raise TypeError(f"lock must be a context manager or None, not {type(lock).__name__!r}")
        self._max_compressors = max_compressors
        self._lock = lock
        # The owners in the order in which they last gave their compressor back: the oldest one first.
        self._live: dict[PerMessageDeflate, zlib._Compress] = {}

    @property
    def max_compressors(self) -> int:
        """How many compressors are kept at most."""
        return self._max_compressors

    @property
    def live(self) -> int:
        """How many compressors are kept now; those that are in use at the moment are not counted."""
        return len(self._live)

    def take(self, owner: PerMessageDeflate) -> zlib._Compress | None:
        """Takes the owner's compressor out, to be used; ``None`` if it has been put out or never was there."""
        if self._lock is None:
            return self._live.pop(owner, None)
        with self._lock:
            return self._live.pop(owner, None)

    def put(self, owner: PerMessageDeflate, compressor: zlib._Compress) -> None:
        """Gives a compressor back after its use. The least recently used one is put out if there are too many."""
        if self._lock is None:
            self._put(owner, compressor)
        else:
            with self._lock:
                self._put(owner, compressor)

    def _put(self, owner: PerMessageDeflate, compressor: zlib._Compress) -> None:
        live = self._live
        live[owner] = compressor
        if len(live) > self._max_compressors:
            del live[next(iter(live))]
