"""The demo's check of itself: two clients of our own meet in a room and exchange a message."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import bowstring

if TYPE_CHECKING:
    from bowstring.drivers.asyncio.client import ClientConnection

__all__ = ["CheckFailed", "self_check"]

_TIMEOUT = 5.0  # seconds


class CheckFailed(Exception):
    """The chat did not do what it should; the message says what."""


async def self_check(websocket_url: str) -> float:
    """Lets two clients join a room of their own, and one say something that the other hears.

    Returns:
        Seconds from saying to hearing.

    Raises:
        CheckFailed: no connection, no answer, or not the right one.
    """
    room = f"self-check-{secrets.token_hex(4)}"
    try:
        async with (
            asyncio.timeout(_TIMEOUT),
            bowstring.connect(websocket_url) as one,
            bowstring.connect(websocket_url) as two,
        ):
            await _join(one, room)
            await _join(two, room)
            text, start = f"Is this {room}? \N{BOW AND ARROW}", time.perf_counter()
            await _send(one, type="say", text=text, ref="self-check")
            heard = await _next(two, "message")
            seconds = time.perf_counter() - start
            if heard["text"] != text:
                raise CheckFailed(f"one client said {text!r}, the other heard {heard['text']!r}")
            for ws in (one, two):
                await _send(ws, type="leave")
                async for _ in ws:
                    pass  # until the server closes
            return seconds
    except TimeoutError:
        raise CheckFailed(f"no answer within {_TIMEOUT:g} s") from None
    except (OSError, bowstring.ConnectionClosed, bowstring.InvalidHandshake) as exc:
        raise CheckFailed(str(exc)) from exc


async def _join(ws: ClientConnection, room: str) -> None:
    await _send(ws, type="join", nick=f"check {secrets.token_hex(4)}", room=room)
    await _next(ws, "welcome")


async def _next(ws: ClientConnection, kind: str) -> dict[str, Any]:
    """The next event of this kind; others before it are passed over, but for a refusal."""
    while True:
        event: dict[str, Any] = json.loads(await ws.recv())
        if event["type"] == kind:
            return event
        if event["type"] in {"refused", "error"}:
            raise CheckFailed(event["text"])


async def _send(ws: ClientConnection, **event: str) -> None:
    await ws.send(json.dumps(event))
