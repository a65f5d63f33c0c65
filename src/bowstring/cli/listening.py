"""What commands that listen have in common."""

from __future__ import annotations

import errno

from .failure import Failure, os_error_text

__all__ = ["cannot_listen", "host_in_url"]


def cannot_listen(host: str, port: int, error: OSError) -> Failure:
    """Why the address cannot be listened on, and what would help."""
    hint = " (--port takes another)" if error.errno == errno.EADDRINUSE else ""
    return Failure(f"cannot listen on {host_in_url(host)}:{port}: {os_error_text(error)}{hint}")


def host_in_url(host: str) -> str:
    """The host as it stands in a URL; for "every address", one that works from here."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]" if ":" in host else host
