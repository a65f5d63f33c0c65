"""The options that every driver has, checked once."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Options", "check_number"]


def check_number(name: str, value: Any, *, minimum: float = 0, optional: bool = False, integer: bool = False) -> None:
    """Refuses what is not a number of at least ``minimum``.

    Raises:
        TypeError, ValueError: with the option's name.
    """
    if value is None and optional:
        return
    kind = int if integer else (int, float)
    if not isinstance(value, kind) or isinstance(value, bool):
        wanted = ("an int" if integer else "a number") + (" or None" if optional else "")
        raise TypeError(f"{name} must be {wanted}, not {type(value).__name__!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, not {value}" + ("; None is no limit" if optional else ""))
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum:g}, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a connection behaves; shared by all connections of one server.

    Attributes:
        open_timeout: seconds for the whole opening handshake; ``None`` waits forever. So do the others.
        close_timeout: seconds for the whole closing handshake; then the stream is reset.
        finish_delay: seconds after its last message that a reader has to come back before the peer's Close, or its
            mistake, is answered without it.
        write_timeout: seconds without one byte leaving the write buffer, then the stream is reset.
        ping_interval: seconds between keepalive pings; ``None`` sends none.
        ping_timeout: seconds without one byte from the peer after a keepalive ping; then the connection fails with
            1011. ``None`` sends pings only.
        max_size: bytes of a message, after inflating; ``None`` is no limit.
        max_fragments: frames of a message; ``None`` is no limit.
        max_queue: messages in the receive queue, or a pair of messages and bytes; reading pauses above either.
        write_limit: bytes in the write buffer above which ``send()`` waits.
        decode: whether text arrives as ``str``; otherwise as UTF-8 ``bytes``.
        logger: where connections log to.
    """

    open_timeout: float | None = 10
    close_timeout: float | None = 10
    finish_delay: float = 1
    write_timeout: float | None = 20
    ping_interval: float | None = 20
    ping_timeout: float | None = 20
    max_size: int | None = 1 << 20
    max_fragments: int | None = 16_384
    max_queue: int | tuple[int | None, int | None] | None = (16, 1 << 20)
    write_limit: int = 32 * 1024
    decode: bool = True
    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("bowstring"))

    def __post_init__(self) -> None:
        for name in ("open_timeout", "close_timeout", "write_timeout", "ping_interval", "ping_timeout"):
            check_number(name, getattr(self, name), optional=True)
            if getattr(self, name) == 0:
                raise ValueError(f"{name} must be more than 0; None switches it off")
        check_number("finish_delay", self.finish_delay)
        check_number("max_size", self.max_size, optional=True, integer=True)
        check_number("max_fragments", self.max_fragments, minimum=1, optional=True, integer=True)
        check_number("write_limit", self.write_limit, integer=True)
        for limit in self.queue_limits:
            check_number("max_queue", limit, minimum=1, optional=True, integer=True)
        if not isinstance(self.decode, bool):
            raise TypeError(f"decode must be a bool, not {type(self.decode).__name__!r}")

    @property
    def queue_limits(self) -> tuple[int | None, int | None]:
        """Messages and bytes that the receive queue may hold before reading pauses."""
        match self.max_queue:
            case (messages, size):
                return messages, size
            case tuple() as other:
                raise ValueError(f"max_queue must be a number or a pair of messages and bytes, not {other!r}")
            case messages:
                return messages, None if messages is None else 1 << 20
