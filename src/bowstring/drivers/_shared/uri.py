"""WebSocket URIs (RFC 6455 §3), and where a redirect may lead."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, unquote, urljoin, urlsplit

from bowstring.exceptions import InvalidURI, ResponseRejected, Violation
from bowstring.protocol.headers import excerpt, parse_host
from bowstring.protocol.http_messages import Response

__all__ = ["Redirect", "WebSocketURI", "parse_uri"]

_DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}

#: Statuses that send a client elsewhere with the same request (RFC 9110 §15.4).
_REDIRECTS: Final = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)

#: RFC 3986: reserved characters stay as they are, and escapes too. The rest, and all that is not ASCII, is escaped.
_SAFE: Final = "%:/?#[]@!$&'()*+,;="

_find_broken_escape = re.compile(r"%(?![0-9A-Fa-f]{2})").search
_find_control = re.compile(r"[\x00-\x20\x7f-\xa0]").search
_find_unescaped = re.compile(r"[@\\\"<>^`{|}\[\]]").search
_match_host = re.compile(r"\[(?P<address>[^\]%]*)(?:%25(?P<zone>[\w.~-]+))?\](?P<port>:.*)?", re.ASCII).fullmatch
_match_name = re.compile(r"[0-9a-z_-]{1,63}(?:\.[0-9a-z_-]{1,63})*\.?").fullmatch


@dataclass(frozen=True, slots=True)
class WebSocketURI:
    """The parts of a ``ws://`` or ``wss://`` URI.

    Attributes:
        secure: whether it is wss.
        host: to connect to; ASCII in lower case, an IPv6 address without brackets, perhaps with a zone (``%eth0``).
        port: always set.
        path: percent-encoded; empty or begins with a slash.
        query: percent-encoded, without the question mark.
        username: decoded; ``None`` without user information.
        password: decoded; ``None`` exactly when ``username`` is.
    """

    secure: bool
    host: str
    port: int
    path: str = ""
    query: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def host_header(self) -> str:
        """The value of Host: the port only if it is not the scheme's own (RFC 6455 §4.1)."""
        # RFC 6874 §4: a zone means something on this machine only.
        host = f"[{self.host.partition('%')[0]}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS["wss" if self.secure else "ws"] else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """Path and query for the request line; the RFC's /resource name/."""
        return f"{self.path or '/'}?{self.query}" if self.query else self.path or "/"

    @property
    def authorization(self) -> str | None:
        """The value of Authorization for the user information (RFC 7617), or ``None`` without."""
        if self.username is None:
            return None
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def has_same_origin(self, other: WebSocketURI) -> bool:
        """Whether scheme, host and port are the same (RFC 6454 §5)."""
        return (self.secure, self.host, self.port) == (other.secure, other.host, other.port)

    def __str__(self) -> str:
        """The URI without its user information, fit for a log."""
        _, percent, zone = self.host.partition("%")
        authority = self.host_header.replace("]", f"%25{zone}]") if percent else self.host_header
        return f"{'wss' if self.secure else 'ws'}://{authority}{self.target}"


def parse_uri(uri: str) -> WebSocketURI:
    """Parses a WebSocket URI, or an IRI: a host beyond ASCII is encoded by IDNA, path and query are percent-encoded.

    Raises:
        InvalidURI: it is not one; user information is left out of the message.
        TypeError: ``uri`` is not a ``str``.
    """
    if not isinstance(uri, str):
        raise TypeError(f"uri must be a str, not {type(uri).__name__!r}")
    shown = re.sub(r"//.*@", "//***@", uri, flags=re.DOTALL)
    try:
        return _parse(uri)
    except UnicodeError:
        raise InvalidURI(shown, "it cannot be encoded") from None
    except ValueError as error:
        raise InvalidURI(shown, str(error)) from None


def _parse(uri: str) -> WebSocketURI:
    if _find_control(uri) is not None:  # urlsplit would take some of them away
        raise ValueError("white space or a control character")
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise ValueError("malformed host") from None  # the original one shows it all
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("scheme is not ws or wss")
    # RFC 6455 §3: fragments mean nothing here and MUST NOT be used.
    if "#" in uri:
        raise ValueError("fragment is not allowed")
    if _find_broken_escape(uri) is not None:
        raise ValueError("percent sign without two hexadecimal digits")
    information, _, authority = parts.netloc.rpartition("@")
    host, port = _parse_authority(authority)
    username, password = _parse_user_information(information)
    return WebSocketURI(
        secure=parts.scheme == "wss",
        host=host,
        port=_DEFAULT_PORTS[parts.scheme] if port is None else port,
        path=quote(parts.path, safe=_SAFE),
        query=quote(parts.query, safe=_SAFE),
        username=username,
        password=password,
    )


def _parse_authority(authority: str) -> tuple[str, int | None]:
    if not authority or authority.startswith(":"):
        raise ValueError("host is missing")
    literal = _match_host(authority)
    if literal is not None:
        # RFC 6874: the zone of a link-local address, behind an escaped percent sign.
        address, zone, rest = literal["address"], literal["zone"], literal["port"] or ""
        host, port = parse_host(f"[{address}]{rest}")
        host = host[1:-1] if zone is None else f"{host[1:-1]}%{zone}"
    else:
        name, colon, digits = authority.partition(":")
        try:
            encoded = name.encode("idna").decode()
        except UnicodeError:
            raise ValueError("host is not a name") from None
        host, port = parse_host(encoded + colon + digits)
        if len(host) > 254 or _match_name(host) is None:
            raise ValueError("host is not a name")
    if port == 0:
        raise ValueError("port is 0")
    return host, port


def _parse_user_information(information: str) -> tuple[str | None, str | None]:
    if not information:
        return None, None
    # RFC 3986 §3.2.1. With a backslash, some would see the host in it.
    if _find_unescaped(information) is not None:
        raise ValueError("user information has to be percent-encoded")
    user, _, password = information.partition(":")
    username = unquote(user, errors="strict")
    decoded = unquote(password, errors="strict")
    # RFC 7617 §2: basic authentication cannot say these.
    if ":" in username:
        raise ValueError("colon in the user name")
    if _find_control((username + decoded).replace(" ", "")) is not None:
        raise ValueError("control character in the user information")
    return username, decoded


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where a response sends a client on to.

    Attributes:
        uri: the new URI. It has the old one's user information if ``same_origin``, and none otherwise.
        same_origin: whether credentials may go along: Authorization, Cookie, and whatever else the user added.
    """

    uri: WebSocketURI
    same_origin: bool

    @classmethod
    def of(cls, uri: WebSocketURI, response: Response) -> Redirect | None:
        """Reads a response.

        Args:
            uri: the URI that it answers.
            response: the response, of any status.

        Returns:
            The redirect, or ``None`` if the response is none.

        Raises:
            ResponseRejected: it is one that cannot be followed: from wss to ws, or to no WebSocket URI.
        """
        if response.status not in _REDIRECTS or "Location" not in response.headers:
            return None
        locations = response.headers.get_all("Location")
        if len(locations) > 1:
            raise ResponseRejected(Violation.REDIRECT, "repeated Location header")
        try:
            target = _resolve(uri, locations[0].encode("latin-1").decode())
        except ValueError:  # of which InvalidURI and UnicodeError are
            raise ResponseRejected(Violation.REDIRECT, f"to {excerpt(locations[0])}") from None
        if uri.secure and not target.secure:
            raise ResponseRejected(Violation.REDIRECT, "from wss to ws")
        same_origin = uri.has_same_origin(target)
        # What the Location has of user information is the server's invention.
        username, password = (uri.username, uri.password) if same_origin else (None, None)
        return cls(replace(target, username=username, password=password), same_origin)


def _resolve(uri: WebSocketURI, location: str) -> WebSocketURI:
    if _find_control(location) is not None:  # urljoin would take some of them away
        raise ValueError("white space or a control character")
    # Servers and proxies that know nothing of WebSocket redirect to http and https (RFC 6455 §3: the same hosts).
    # RFC 9110 §10.2.2: a Location may have a fragment.
    joined = urljoin(str(uri), location).partition("#")[0]
    return parse_uri(re.sub(r"^http", "ws", joined, flags=re.IGNORECASE))
