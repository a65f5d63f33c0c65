"""bowstring on asyncio, or any loop with its interface, such as uvloop."""

from __future__ import annotations

from .client import ClientConnection, connect
from .connection import Connection
from .server import Server, serve
from .server_connection import ServerConnection

__all__ = ["ClientConnection", "Connection", "Server", "ServerConnection", "connect", "serve"]
