"""Many timeouts, one timer: what thousands of idle connections wait with."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Protocol

__all__ = ["Timer", "TimerWheel"]


class _Wakeup(Protocol):
    def cancel(self) -> object: ...


class Timer:
    """One timeout in a wheel. It is over after it has fired or was cancelled."""

    __slots__ = ("_callback", "_slot", "_wheel")

    def __init__(self, wheel: TimerWheel, slot: int, callback: Callable[[], None]) -> None:
        self._wheel = wheel
        self._slot = slot
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Takes the timeout back. Does nothing if it is over."""
        if self._callback is not None:
            self._callback = None
            self._wheel._discard(self, self._slot)


class TimerWheel:
    """Timeouts in slots of equal length; only the nearest slot has a timer of the event loop.

    A timeout fires up to one slot late and never early. Setting and cancelling cost a dictionary look-up, and a
    thousand connections with the same interval cost the loop one timer instead of a thousand.

    Args:
        now: the clock, in seconds.
        call_at: has ``callback`` called at a time of that clock, and returns something with ``cancel()``
            (``loop.call_at``).
        report: called with what a callback raises; the other timeouts are not to suffer from it.
        resolution: the length of a slot in seconds.
    """

    __slots__ = ("_call_at", "_due", "_live", "_now", "_report", "_resolution", "_slots", "_wakeup", "_wakeup_slot")

    def __init__(
        self,
        now: Callable[[], float],
        call_at: Callable[[float, Callable[[], None]], _Wakeup],
        report: Callable[[Exception], None],
        resolution: float = 0.05,
    ) -> None:
        self._now = now
        self._call_at = call_at
        self._report = report
        self._resolution = resolution
        self._slots: dict[int, set[Timer]] = {}  # emptied ones stay until they are due: they may be filled again
        self._due: list[int] = []  # a heap of their numbers
        self._live = 0
        self._wakeup: _Wakeup | None = None
        self._wakeup_slot = 0

    def __len__(self) -> int:
        """How many timeouts are set."""
        return self._live

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Has ``callback`` called after ``delay`` seconds."""
        slot = int((self._now() + delay) / self._resolution) + 1
        timer = Timer(self, slot, callback)
        self._live += 1
        timers = self._slots.get(slot)
        if timers is None:
            self._slots[slot] = {timer}
            heapq.heappush(self._due, slot)
            self._arm()
        else:
            timers.add(timer)
        return timer

    def _discard(self, timer: Timer, slot: int) -> None:
        self._live -= 1
        if timers := self._slots.get(slot):
            timers.discard(timer)
        if not self._live:
            self._disarm()

    def _arm(self) -> None:
        """Sees to it that the loop wakes us for the nearest slot."""
        if not self._live:
            self._disarm()
        elif self._wakeup is None or self._due[0] < self._wakeup_slot:
            if self._wakeup is not None:
                self._wakeup.cancel()
            self._wakeup_slot = self._due[0]
            self._wakeup = self._call_at(self._wakeup_slot * self._resolution, self._fire)

    def _disarm(self) -> None:
        """An idle wheel leaves nothing behind in the loop."""
        self._slots.clear()
        self._due.clear()
        if self._wakeup is not None:
            self._wakeup.cancel()
            self._wakeup = None

    def _fire(self) -> None:
        self._wakeup = None
        current = max(int(self._now() / self._resolution), self._wakeup_slot)
        while self._due and self._due[0] <= current:
            for timer in self._slots.pop(heapq.heappop(self._due)):
                callback, timer._callback = timer._callback, None
                if callback is None:  # cancelled by one that fired before it
                    continue
                self._live -= 1
                try:
                    callback()
                except Exception as error:
                    self._report(error)
        self._arm()
