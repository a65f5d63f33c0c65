"""Many timeouts on one timer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bowstring.drivers._shared.timer_wheel import TimerWheel

pytestmark = pytest.mark.one_twin


class Clock:
    """A loop's clock and timers, moved by hand."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.handles: list[Handle] = []
        self.errors: list[Exception] = []

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        handle = Handle(self, when, callback)
        self.handles.append(handle)
        return handle

    def advance(self, seconds: float) -> None:
        end = self.time + seconds
        while due := [handle for handle in self.handles if handle.when <= end]:
            handle = min(due, key=lambda handle: handle.when)
            self.handles.remove(handle)
            self.time = max(self.time, handle.when)
            handle.callback()
        self.time = end


class Handle:
    def __init__(self, clock: Clock, when: float, callback: Callable[[], None]) -> None:
        self.clock, self.when, self.callback = clock, when, callback

    def cancel(self) -> None:
        self.clock.handles.remove(self)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wheel(clock: Clock) -> TimerWheel:
    return TimerWheel(lambda: clock.time, clock.call_at, clock.errors.append, resolution=0.05)


@pytest.mark.parametrize("delay", [0, 0.01, 0.05, 0.1, 1, 20, 3600])
def test_fires_once_not_early_and_at_most_a_slot_late(clock: Clock, wheel: TimerWheel, delay: float) -> None:
    fired: list[float] = []
    start = clock.time
    wheel.call_later(delay, lambda: fired.append(clock.time - start))
    clock.advance(delay + 10)
    assert len(fired) == 1
    assert delay <= fired[0] <= delay + 0.05 + 1e-9
    assert not clock.handles and len(wheel) == 0


def test_a_thousand_timeouts_share_one_timer_of_the_loop(clock: Clock, wheel: TimerWheel) -> None:
    fired: list[int] = []
    for number in range(1000):
        wheel.call_later(20, lambda number=number: fired.append(number))  # type: ignore[misc]
    assert len(clock.handles) == 1 and len(wheel) == 1000
    clock.advance(21)
    assert sorted(fired) == list(range(1000))


def test_in_order_whatever_order_they_were_set_in(clock: Clock, wheel: TimerWheel) -> None:
    fired: list[int] = []
    for delay in (5, 1, 3, 2, 4):
        wheel.call_later(delay, lambda delay=delay: fired.append(delay))  # type: ignore[misc]
    assert len(clock.handles) == 1
    clock.advance(10)
    assert fired == [1, 2, 3, 4, 5]


def test_cancelled(clock: Clock, wheel: TimerWheel) -> None:
    fired: list[str] = []
    first = wheel.call_later(1, lambda: fired.append("first"))
    second = wheel.call_later(1, lambda: fired.append("second"))
    first.cancel()
    first.cancel()
    clock.advance(2)
    assert fired == ["second"]
    second.cancel()  # it is over
    wheel.call_later(1, lambda: fired.append("third")).cancel()
    assert not clock.handles and len(wheel) == 0


def test_cancelled_by_another_of_its_slot(clock: Clock, wheel: TimerWheel) -> None:
    fired: list[int] = []
    timers = [
        wheel.call_later(1, lambda number=number: (fired.append(number), timers[1 - number].cancel()))  # type: ignore[misc, func-returns-value]
        for number in range(2)
    ]
    clock.advance(2)
    assert len(fired) == 1


def test_one_that_raises_takes_nothing_from_the_others(clock: Clock, wheel: TimerWheel) -> None:
    fired: list[int] = []

    def fail() -> None:
        raise RuntimeError("in a callback")

    for number in range(3):
        wheel.call_later(1, lambda number=number: fired.append(number))  # type: ignore[misc]
        wheel.call_later(1, fail)
    wheel.call_later(2, lambda: fired.append(3))
    clock.advance(3)
    assert sorted(fired) == [0, 1, 2, 3]
    assert list(map(str, clock.errors)) == ["in a callback"] * 3


def test_setting_and_cancelling_leaves_nothing_behind(clock: Clock, wheel: TimerWheel) -> None:
    wheel.call_later(1, lambda: None)
    for _ in range(1000):
        wheel.call_later(20, lambda: None).cancel()
    assert len(wheel._due) == 2 and len(wheel) == 1


def test_set_again_from_its_own_callback(clock: Clock, wheel: TimerWheel) -> None:
    fired: list[float] = []

    def again() -> None:
        fired.append(clock.time)
        if len(fired) < 5:
            wheel.call_later(0, again)

    wheel.call_later(0, again)
    clock.advance(1)
    assert len(fired) == 5 and fired == sorted(set(fired))


def test_an_emptied_slot_is_passed_over(clock: Clock, wheel: TimerWheel) -> None:
    fired: list[int] = []
    near = wheel.call_later(1, lambda: fired.append(1))
    wheel.call_later(5, lambda: fired.append(5))
    near.cancel()
    wheel.call_later(3, lambda: fired.append(3))
    clock.advance(6)
    assert fired == [3, 5]
