"""bowstring: WebSocket for Python.

::

    import asyncio
    from bowstring import connect, serve

Names are loaded when they are first used: ``import bowstring.codec`` alone loads neither asyncio nor h11.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .constants import CloseCode, Opcode, State
    from .drivers.asyncio.client import ClientConnection, connect
    from .drivers.asyncio.connection import Connection
    from .drivers.asyncio.server import Server, serve
    from .drivers.asyncio.server_connection import ServerConnection
    from .exceptions import (
        BowstringError,
        ConcurrencyError,
        ConnectionClosed,
        ConnectionClosedError,
        ConnectionClosedOK,
        HandshakeRejected,
        InvalidHandshake,
        InvalidStatus,
        InvalidURI,
        NegotiationError,
        ProtocolError,
        ResponseRejected,
        Violation,
    )
    from .protocol.extensions.permessage_deflate import Compression
    from .protocol.headers import Headers
    from .protocol.http11 import Request, Response
    from .typing import Close

#: Where each public name is defined.
_HOMES = {
    "bowstring.constants": ("CloseCode", "Opcode", "State"),
    "bowstring.drivers.asyncio.client": ("ClientConnection", "connect"),
    "bowstring.drivers.asyncio.connection": ("Connection",),
    "bowstring.drivers.asyncio.server": ("Server", "serve"),
    "bowstring.drivers.asyncio.server_connection": ("ServerConnection",),
    "bowstring.exceptions": (
        "BowstringError",
        "ConcurrencyError",
        "ConnectionClosed",
        "ConnectionClosedError",
        "ConnectionClosedOK",
        "HandshakeRejected",
        "InvalidHandshake",
        "InvalidStatus",
        "InvalidURI",
        "NegotiationError",
        "ProtocolError",
        "ResponseRejected",
        "Violation",
    ),
    "bowstring.protocol.extensions.permessage_deflate": ("Compression",),
    "bowstring.protocol.headers": ("Headers",),
    "bowstring.protocol.http11": ("Request", "Response"),
    "bowstring.typing": ("Close",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BowstringError",
    "ClientConnection",
    "Close",
    "CloseCode",
    "Compression",
    "ConcurrencyError",
    "Connection",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "HandshakeRejected",
    "Headers",
    "InvalidHandshake",
    "InvalidStatus",
    "InvalidURI",
    "NegotiationError",
    "Opcode",
    "ProtocolError",
    "Request",
    "Response",
    "ResponseRejected",
    "Server",
    "ServerConnection",
    "State",
    "Violation",
    "__version__",
    "connect",
    "serve",
]


def __getattr__(name: str) -> Any:
    try:
        home = _HOME[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    return __all__
