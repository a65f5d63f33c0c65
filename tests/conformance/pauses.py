"""Moments in which the machine stood still.

wstest gives its peer half a second in many cases, and looks at the clock before it looks at what has arrived. When a
machine with other work to do stops all programs for so long, the verdict is about the machine.
"""

from __future__ import annotations

import asyncio
import time

TICK = 0.02
NOTICEABLE = 0.2  # seconds: less than half of what any case allows


class PauseWatch:
    """Notes every pause of this process that is long enough to spoil a case."""

    def __init__(self) -> None:
        self._pauses: list[tuple[float, float]] = []

    async def watch(self) -> None:
        """Watches until it is cancelled."""
        while True:
            before = time.time()
            await asyncio.sleep(TICK)
            after = time.time()
            if after - before > TICK + NOTICEABLE:
                self._pauses.append((before, after))

    def during(self, began: float, ended: float) -> float:
        """How many seconds of standing still touch a span of time, given in seconds since the epoch."""
        return sum(end - start for start, end in self._pauses if start < ended and end > began)
