"""WebSocket without I/O (sans-I/O): the handshake, extensions, and the state of a connection.

No sockets, no event loop, no clock, and no randomness of its own: bytes go in, messages and bytes come out.
"""

from __future__ import annotations

from .connection import Connection, HangUp, Role
from .messages import PackedMessage

__all__ = ["Connection", "HangUp", "PackedMessage", "Role"]
