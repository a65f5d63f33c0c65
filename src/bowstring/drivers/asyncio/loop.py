"""What all connections of one event loop share."""

from __future__ import annotations

import asyncio

from bowstring import codec
from bowstring.drivers._shared.timer_wheel import TimerWheel
from bowstring.protocol.extensions.permessage_deflate import CompressionPool

__all__ = ["READ_SIZE", "LoopResources", "masking_keys"]

#: Bytes read at a time.
READ_SIZE = 64 * 1024

#: The stock of masking keys of all clients in this process.
masking_keys = codec.MaskKeys()


class LoopResources:
    """One read buffer, one timer wheel and one pool of compressors for each loop.

    An event loop fills the buffer and hands it over in one go, so no two connections ever use it at the same time,
    and an idle connection holds no buffer.
    """

    __slots__ = ("compression_pool", "read_buffer", "wheel")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # As a view: asyncio's TLS fills a buffer in pieces, and a slice of a bytearray would be a copy.
        self.read_buffer = memoryview(bytearray(READ_SIZE))
        self.wheel = TimerWheel(
            loop.time,
            loop.call_at,
            lambda error: loop.call_exception_handler({"message": "a timeout of bowstring failed", "exception": error}),
        )
        self.compression_pool = CompressionPool()

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> LoopResources:
        """Those of this loop."""
        resources = _resources.get(loop)
        if resources is None:
            # They refer to their loop, so a weak dictionary would keep both: loops that are over are looked for here.
            for closed in [other for other in list(_resources) if other.is_closed()]:
                _resources.pop(closed, None)
            resources = _resources[loop] = cls(loop)
        return resources


_resources: dict[asyncio.AbstractEventLoop, LoopResources] = {}
