"""The page's files, and the headers under which they are served."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

__all__ = ["page_files", "page_headers"]

_CONTENT_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

#: Everything from this server and nothing inline; strings never become markup or code.
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


def page_files() -> dict[str, tuple[str, bytes]]:
    """Content type and body of every file of the page, by the path in its address; the page itself is at ``/``."""
    result = {}
    for file in files("bowstring.demo").joinpath("static").iterdir():
        suffix = file.name[file.name.rfind(".") :]
        if suffix in _CONTENT_TYPES:
            path = "/" if file.name == "index.html" else f"/{file.name}"
            result[path] = _CONTENT_TYPES[suffix], file.read_bytes()
    return result


def page_headers(content_type: str) -> list[tuple[str, str]]:
    """Headers that go with a file of the page, Content-Length aside."""
    return [
        ("Content-Type", content_type),
        ("Cache-Control", "no-cache"),
        ("Content-Security-Policy", _CONTENT_SECURITY_POLICY),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
    ]
