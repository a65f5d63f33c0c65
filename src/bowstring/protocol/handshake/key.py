"""Sec-WebSocket-Key and its answer, Sec-WebSocket-Accept (RFC 6455 §1.3): proof that a server speaks WebSocket."""

from __future__ import annotations

import base64
import hashlib
import re

from bowstring.constants import GUID

__all__ = ["accept_key", "build_key", "is_key"]

# 16 bytes in base64: 21 characters, one more that carries two bits, and the padding.
_match_key = re.compile(r"[A-Za-z0-9+/]{22}==").fullmatch


def is_key(value: str) -> bool:
    """Whether this is the value of a Sec-WebSocket-Key: base64 of 16 bytes (RFC 6455 §4.1)."""
    return _match_key(value) is not None


def build_key(nonce: bytes) -> str:
    """Builds the value of Sec-WebSocket-Key.

    Args:
        nonce: 16 random bytes, new for each connection.
    """
    return base64.b64encode(nonce).decode()


def accept_key(key: str) -> str:
    """Builds the value of Sec-WebSocket-Accept that answers ``key`` (RFC 6455 §4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + GUID, usedforsecurity=False).digest()).decode()
