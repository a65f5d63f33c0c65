"""A coroutine as a program: ended in order by Ctrl-C and by SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

__all__ = ["run"]


def run(body: Coroutine[Any, Any, int], *, stopping_is_fine: bool) -> int:
    """Runs the coroutine to its end, or until a signal cancels it; then it cleans up first.

    Args:
        body: gives the exit code.
        stopping_is_fine: whether being stopped is the regular end, as for a server.

    Returns:
        The exit code; when stopped, 0 or 128 and the number of the signal.
    """
    stopped_by = 0

    async def until_stopped() -> int:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def stop() -> None:
            nonlocal stopped_by
            stopped_by = stopped_by or signal.SIGTERM
            if task is not None:
                task.cancel()

        try:
            loop.add_signal_handler(signal.SIGTERM, stop)
        except NotImplementedError:  # Windows, where nobody sends SIGTERM but this process itself
            signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(stop))
        try:
            return await body
        except asyncio.CancelledError:
            if not stopped_by:
                raise  # Ctrl-C: the runner turns it into KeyboardInterrupt
            return 128 + stopped_by

    try:
        with asyncio.Runner() as runner:
            status = runner.run(until_stopped())
    except KeyboardInterrupt:
        stopped_by = signal.SIGINT
        status = 128 + stopped_by
    return 0 if stopped_by and stopping_is_fine else status
