"""The client's half of the opening handshake (RFC 6455 §4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from bowstring._version import __version__
from bowstring.constants import VERSION
from bowstring.exceptions import InvalidStatus, NegotiationError, ResponseRejected, Violation
from bowstring.protocol.extensions.base import ClientExtensionFactory, Extension
from bowstring.protocol.headers import (
    HeaderFormatError,
    Headers,
    HeadersLike,
    build_extensions,
    build_subprotocols,
    excerpt,
    parse_extensions,
    parse_host,
)
from bowstring.protocol.http_messages import Request, Response

from .fields import read_list
from .key import accept_key, build_key
from .settings import check_extensions, check_subprotocols, naming

__all__ = ["USER_AGENT", "ClientHandshake", "Negotiated"]

USER_AGENT: Final = f"bowstring/{__version__}"

#: Fields that are ours to write. The names of the others may be given, Host included.
_MANAGED: Final = frozenset({"connection", "content-length", "te", "trailer", "transfer-encoding", "upgrade"})


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What a server accepted.

    Attributes:
        subprotocol: the one that it chose, or ``None``.
        extensions: in the order in which they apply to outgoing frames.
    """

    subprotocol: str | None
    extensions: tuple[Extension, ...]


class ClientHandshake:
    """Asks for one upgrade, and checks the answer.

    Args:
        host: the value of the Host header.
        target: path and query.
        nonce: 16 random bytes, new for each connection (RFC 6455 §4.1).
        origin: the Origin header.
        subprotocols: to offer, the preferred one first.
        extensions: to offer, in this order.
        additional_headers: further fields. Host and User-Agent given here stand instead of ours. Those that make up
            the handshake (Upgrade, Connection, Sec-WebSocket-…, and all of a body) may not be given, and Origin only
            without ``origin``.
        user_agent_header: the User-Agent header; ``None`` sends none.

    Raises:
        TypeError, ValueError: an argument does not fit; the message names it.
    """

    __slots__ = ("_extensions", "_key", "_request", "_subprotocols")

    def __init__(
        self,
        *,
        host: str,
        target: str,
        nonce: bytes,
        origin: str | None = None,
        subprotocols: Sequence[str] | None = None,
        extensions: Sequence[ClientExtensionFactory] = (),
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
    ) -> None:
        if len(nonce) != 16:
            raise ValueError(f"nonce must be 16 bytes, not {len(nonce)}")
        if not target.startswith("/") or not target.isascii() or not target.isprintable() or set(" #") & set(target):
            raise ValueError(f"target must be a path in visible ASCII without a fragment, not {target!r}")
        self._key = build_key(nonce)
        self._subprotocols = check_subprotocols(subprotocols)
        self._extensions = {factory.name: factory for factory in check_extensions(extensions, "offers", "accept")}
        with naming("additional_headers"):
            additional = Headers(additional_headers or ())
            _check_additional(additional, origin)
        headers = Headers()
        with naming("host"):
            headers["Host"] = additional.get("Host", host)
            parse_host(headers["Host"])
        headers["Upgrade"] = "websocket"
        headers["Connection"] = "Upgrade"
        headers["Sec-WebSocket-Key"] = self._key
        if origin is not None:
            with naming("origin"):
                headers["Origin"] = origin
        if self._subprotocols:
            headers["Sec-WebSocket-Protocol"] = build_subprotocols(self._subprotocols)
        headers["Sec-WebSocket-Version"] = VERSION
        offers = [(name, offer) for name, factory in self._extensions.items() for offer in factory.offers()]
        if offers:
            headers["Sec-WebSocket-Extensions"] = build_extensions(offers)
        headers.extend((name, value) for name, value in additional.raw_items() if name.lower() != "host")
        if user_agent_header is not None and "User-Agent" not in headers:
            with naming("user_agent_header"):
                headers["User-Agent"] = user_agent_header
        self._request = Request("GET", target, headers)

    @property
    def request(self) -> Request:
        """The request to send."""
        return self._request

    def check(self, response: Response) -> Negotiated:
        """Checks the server's answer.

        Raises:
            InvalidStatus: the status is not 101.
            NegotiationError: an extension or a subprotocol that was not offered, or not like that.
            ResponseRejected: another rule is broken.
        """
        headers = response.headers
        if response.status != HTTPStatus.SWITCHING_PROTOCOLS:
            raise InvalidStatus(response)
        if response.version != "1.1":
            raise ResponseRejected(Violation.BAD_RESPONSE, f"101 in HTTP/{response.version}")
        # RFC 6455 §4.1: Upgrade is "websocket", in any case, and nothing else.
        if read_list(headers, "Upgrade", ResponseRejected, Violation.RESPONSE_UPGRADE) != ["websocket"]:
            raise ResponseRejected(Violation.RESPONSE_UPGRADE)
        # RFC 6455 §4.1: Connection has "Upgrade", in any case.
        if "upgrade" not in read_list(headers, "Connection", ResponseRejected, Violation.RESPONSE_CONNECTION):
            raise ResponseRejected(Violation.RESPONSE_CONNECTION)
        accepts = headers.get_all("Sec-WebSocket-Accept")
        if accepts != [accept_key(self._key)]:
            detail = "repeated" if len(accepts) > 1 else "wrong" if accepts else "missing"
            raise ResponseRejected(Violation.ACCEPT, detail)
        subprotocol = self._check_subprotocol(headers)
        return Negotiated(subprotocol, self._check_extensions(headers))

    def _check_subprotocol(self, headers: Headers) -> str | None:
        values = headers.get_all("Sec-WebSocket-Protocol")
        # RFC 6455 §11.3.4: at most once in a response.
        if len(values) > 1:
            raise NegotiationError(Violation.SUBPROTOCOL_NOT_OFFERED, "repeated Sec-WebSocket-Protocol header")
        if values and values[0] not in self._subprotocols:
            raise NegotiationError(Violation.SUBPROTOCOL_NOT_OFFERED, excerpt(values[0]))
        return values[0] if values else None

    def _check_extensions(self, headers: Headers) -> tuple[Extension, ...]:
        values = headers.get_all("Sec-WebSocket-Extensions")
        if not values:
            return ()
        # RFC 6455 §11.3.2: at most once in a response.
        if len(values) > 1:
            raise NegotiationError(Violation.RESPONSE_EXTENSIONS, "repeated")
        try:
            answers = parse_extensions(values[0])
        except HeaderFormatError as error:
            raise NegotiationError(Violation.RESPONSE_EXTENSIONS, str(error)) from None
        accepted: list[Extension] = []
        names: set[str] = set()
        taken = 0
        with ExitStack() as undo:
            for name, parameters in answers:
                factory = self._extensions.get(name)
                if factory is None:
                    raise NegotiationError(Violation.EXTENSION_NOT_OFFERED, excerpt(name))
                if name in names:
                    raise NegotiationError(Violation.EXTENSION_NOT_OFFERED, f"{excerpt(name)} twice")
                extension = factory.accept(parameters, accepted)
                undo.callback(extension.close)
                if extension.rsv & taken:
                    raise NegotiationError(
                        Violation.EXTENSION_NOT_OFFERED, f"{excerpt(name)} uses a reserved bit of another one"
                    )
                names.add(name)
                taken |= extension.rsv
                accepted.append(extension)
            undo.pop_all()
        return tuple(accepted)


def _check_additional(headers: Headers, origin: str | None) -> None:
    for name in headers:
        if name in _MANAGED or name.startswith("sec-websocket-"):
            raise ValueError(f"{name!r} belongs to the handshake")
    if len(headers.get_all("Host")) > 1:
        raise ValueError("Host is there twice")
    if origin is not None and "Origin" in headers:
        raise ValueError("Origin is given by origin already")
