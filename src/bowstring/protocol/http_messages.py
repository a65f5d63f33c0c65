"""Requests and responses as values: what the opening handshake works on, whatever version of HTTP carries them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .headers import Headers

__all__ = ["Request", "Response"]

_match_absolute_form = re.compile(r"https?://([^/?]*)(.*)", re.IGNORECASE).fullmatch


@dataclass(slots=True)
class Request:
    """An HTTP request without a body.

    Attributes:
        method: as it was sent; methods are case-sensitive.
        target: the request target as it was sent, nothing decoded.
        headers: the fields.
        version: of HTTP, ``"1.1"``.
    """

    method: str
    target: str
    headers: Headers
    version: str = "1.1"

    @property
    def path(self) -> str:
        """Path and query, nothing decoded; of a target in absolute form without scheme and host."""
        absolute = _match_absolute_form(self.target)
        if absolute is None:
            return self.target
        path = absolute[2]
        return path if path.startswith("/") else f"/{path}"

    @property
    def authority(self) -> str | None:
        """Host and port of a target in absolute form (RFC 9112 §3.2.2); otherwise ``None``."""
        absolute = _match_absolute_form(self.target)
        return None if absolute is None else absolute[1]


@dataclass(slots=True)
class Response:
    """An HTTP response with all of its body.

    Attributes:
        status: the status code. ``status_code`` is the same.
        reason: the reason phrase; it means nothing. ``reason_phrase`` is the same.
        headers: the fields.
        body: as it was sent; empty for 101.
        version: of HTTP, ``"1.1"``.
        body_truncated: whether ``body`` is only the beginning, because it was over the limit, or broken off.
    """

    status: int
    reason: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    version: str = "1.1"
    body_truncated: bool = False

    @property
    def status_code(self) -> int:
        """The status code."""
        return self.status

    @property
    def reason_phrase(self) -> str:
        """The reason phrase."""
        return self.reason
