"""A server of ours for each test that wants one."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import pytest

from bowstring import Server, ServerConnection, serve
from bowstring.drivers.asyncio.stream import StreamConnection

Serving: TypeAlias = Callable[..., contextlib.AbstractAsyncContextManager[tuple[Server, int]]]


async def echo(connection: ServerConnection) -> None:
    """Sends everything back."""
    async for message in connection:
        await connection.send(message)


@contextlib.asynccontextmanager
async def _serving(handler: Any = echo, **options: Any) -> AsyncIterator[tuple[Server, int]]:
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield server, server.sockets[0].getsockname()[1]


@pytest.fixture
def serving() -> Serving:
    """``async with serving(handler, **options) as (server, port)``: the handler echoes if none is given."""
    return _serving


@pytest.fixture
def reading_paused(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when a connection of ours stops reading because its queue is full."""
    event = asyncio.Event()
    pause = StreamConnection._pause_reading

    def paused(connection: StreamConnection) -> None:
        pause(connection)
        event.set()

    monkeypatch.setattr(StreamConnection, "_pause_reading", paused)
    return event


@pytest.fixture(params=["asyncio", "uvloop"] if importlib.util.find_spec("uvloop") else ["asyncio"], autouse=True)
def loop_factory(request: pytest.FixtureRequest) -> Any:
    """Every test runs on asyncio's loop and, where there is one, on uvloop."""
    return importlib.import_module(request.param).new_event_loop
