"""Heads of requests and responses, and what can be done to them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from hypothesis import strategies as st

REQUEST = (
    b"GET /chat?room=1 HTTP/1.1\r\n"
    b"Host: server.example.com\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    b"\r\n"
)
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def request_with(*lines: bytes, first: bytes = b"GET / HTTP/1.1", host: bytes | None = b"Host: a") -> bytes:
    return b"\r\n".join([first, *([host] if host else []), *lines, b"", b""])


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def changed(data: bytes) -> st.SearchStrategy[bytes]:
    """Some bytes somewhere in ``data`` exchanged for others."""
    changes = st.tuples(st.integers(0, len(data)), st.integers(0, 20), st.binary(max_size=20))
    return changes.map(lambda change: data[: change[0]] + change[2] + data[change[0] + change[1] :])
