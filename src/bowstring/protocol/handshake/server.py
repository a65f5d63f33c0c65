"""The server's half of the opening handshake (RFC 6455 §4.2)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from bowstring._version import __version__
from bowstring.constants import VERSION
from bowstring.exceptions import HandshakeRejected, Violation
from bowstring.protocol.extensions.base import Extension, ServerExtensionFactory
from bowstring.protocol.headers import (
    HeaderFormatError,
    Headers,
    build_extensions,
    excerpt,
    parse_extensions,
    parse_host,
    parse_subprotocols,
)
from bowstring.protocol.http_messages import Request, Response
from bowstring.typing import ExtensionParameters

from .fields import read_list
from .key import accept_key, is_key
from .origins import OriginPolicy, Origins
from .settings import check_extensions, check_subprotocols, naming

__all__ = ["SERVER_HEADER", "Accepted", "SelectSubprotocol", "ServerHandshake", "accept_key"]

SERVER_HEADER: Final = f"bowstring/{__version__}"

SelectSubprotocol = Callable[[Sequence[str]], str | None]
"""Called with what the client offers, returns the one to use, or ``None``."""

#: What else helps whoever reads the answer, by the rule that was broken.
_HINTS: Final = {
    Violation.UPGRADE: "This is a WebSocket server: it needs a WebSocket client, and proxies that pass Upgrade on.",
    Violation.CONNECTION: "A proxy on the way may have to be told to pass Connection and Upgrade on.",
    Violation.ORIGIN: "The page's origin has to be the host that the Host header names, or one that is allowed here.",
    Violation.WEBSOCKET_VERSION: f"This server speaks version {VERSION}.",
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that was accepted.

    Attributes:
        response: the 101 to send.
        subprotocol: the one that was chosen, or ``None``.
        extensions: in the order in which they apply to outgoing frames.
    """

    response: Response
    subprotocol: str | None
    extensions: tuple[Extension, ...]


class ServerHandshake:
    """Answers requests for an upgrade. A setting: one serves all connections of a server.

    Args:
        origins: which pages may connect, see :class:`~bowstring.protocol.handshake.origins.OriginPolicy`.
        subprotocols: those that we speak, the preferred one first. The first of them that the client offers is
            chosen; with none in common the connection opens without one.
        select_subprotocol: chooses instead, from what the client offers (an empty list if nothing). It may raise
            :exc:`HandshakeRejected` to refuse the connection.
        extensions: those that we speak. The client's order decides among several offers.
        server_header: the Server header; ``None`` sends none.

    Raises:
        TypeError, ValueError: an argument does not fit; the message names it.
    """

    __slots__ = ("_extensions", "_origins", "_select_subprotocol", "_server_header", "_subprotocols")

    def __init__(
        self,
        *,
        origins: Origins = "same",
        subprotocols: Sequence[str] | None = None,
        select_subprotocol: SelectSubprotocol | None = None,
        extensions: Sequence[ServerExtensionFactory] = (),
        server_header: str | None = SERVER_HEADER,
    ) -> None:
        self._origins = OriginPolicy(origins)
        self._subprotocols = check_subprotocols(subprotocols)
        if select_subprotocol is not None:
            if not callable(select_subprotocol):
                raise TypeError(f"select_subprotocol must be a function, not {type(select_subprotocol).__name__!r}")
            if inspect.iscoroutinefunction(select_subprotocol):
                raise TypeError("select_subprotocol must be a plain function, not a coroutine function")
        self._select_subprotocol = select_subprotocol
        self._extensions = {factory.name: factory for factory in check_extensions(extensions, "respond")}
        self._server_header = server_header
        if server_header is not None:
            with naming("server_header"):
                Headers([("Server", server_header)])

    def accept(
        self, request: Request, *, secure: bool = False, select_subprotocol: SelectSubprotocol | None = None
    ) -> Accepted:
        """Checks a request, and negotiates.

        Args:
            request: a request as the client sent it.
            secure: whether it came over TLS that ended here.
            select_subprotocol: as the setting, for this request only.

        Raises:
            HandshakeRejected: it breaks a rule. :meth:`reject` makes the answer.
        """
        host = _check_http(request)
        key = _check_upgrade(request.headers)
        self._origins.check(request, host=host, secure=secure)
        subprotocol = self._choose_subprotocol(request.headers, select_subprotocol or self._select_subprotocol)
        # Last: what is made for the connection would have to be given back if something failed after it.
        answers, extensions = self._choose_extensions(request.headers)
        fields = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", accept_key(key)),
        ]
        if subprotocol is not None:
            fields.append(("Sec-WebSocket-Protocol", subprotocol))
        if answers:
            fields.append(("Sec-WebSocket-Extensions", answers))
        if self._server_header is not None:
            fields.append(("Server", self._server_header))
        response = Response(101, "Switching Protocols", Headers.from_parsed(fields))
        return Accepted(response, subprotocol, extensions)

    def reject(self, error: HandshakeRejected) -> Response:
        """Makes the answer to a request that was rejected. Nothing of the request is in it."""
        violation = error.violation
        body = f"Failed to open a WebSocket connection: {violation.text} ({violation.section}).\n"
        if violation in _HINTS:
            body += f"{_HINTS[violation]}\n"
        headers = Headers()
        headers["Content-Type"] = "text/plain; charset=utf-8"
        if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "GET"
        elif error.status == HTTPStatus.UPGRADE_REQUIRED:
            headers["Upgrade"] = "websocket"
            # RFC 6455 §4.4: the versions that would have been fine.
            headers["Sec-WebSocket-Version"] = VERSION
        if self._server_header is not None:
            headers["Server"] = self._server_header
        return Response(error.status, HTTPStatus(error.status).phrase, headers, body.encode())

    def _choose_subprotocol(self, headers: Headers, select: SelectSubprotocol | None) -> str | None:
        offered: list[str] = []
        if "Sec-WebSocket-Protocol" in headers:
            try:
                # RFC 6455 §11.3.4: in a request it may be repeated.
                offered = parse_subprotocols(", ".join(headers.get_all("Sec-WebSocket-Protocol")))
            except HeaderFormatError as error:
                raise HandshakeRejected(Violation.SUBPROTOCOL_HEADER, str(error)) from None
        if select is None:
            return next((subprotocol for subprotocol in self._subprotocols if subprotocol in offered), None)
        selected = select(offered)
        # RFC 6455 §4.2.2, 5: only what the client offers.
        if selected is not None and selected not in offered:
            raise ValueError(f"select_subprotocol returned {selected!r}, which the client does not offer")
        return selected

    def _choose_extensions(self, headers: Headers) -> tuple[str, tuple[Extension, ...]]:
        """Answers the offers of extensions: the header's value, and what was accepted."""
        if "Sec-WebSocket-Extensions" not in headers:
            return "", ()
        try:
            # RFC 6455 §11.3.2: in a request it may be repeated.
            offers = parse_extensions(", ".join(headers.get_all("Sec-WebSocket-Extensions")))
        except HeaderFormatError as error:
            raise HandshakeRejected(Violation.EXTENSIONS_HEADER, str(error)) from None
        answers: dict[str, ExtensionParameters] = {}
        accepted: list[Extension] = []
        with ExitStack() as undo:
            taken = 0
            for name, parameters in offers:
                factory = self._extensions.get(name)
                # Several offers of one extension are alternatives (RFC 6455 §9.1): the first one that suits.
                if factory is None or name in answers:
                    continue
                answer = factory.respond(parameters, accepted)
                if answer is None:
                    continue
                extension = answer[1]
                if extension.rsv & taken:
                    extension.close()
                    continue
                undo.callback(extension.close)
                taken |= extension.rsv
                answers[name] = answer[0]
                accepted.append(extension)
            value = build_extensions(answers.items())
            undo.pop_all()
        return value, tuple(accepted)


def _check_http(request: Request) -> tuple[str, int | None]:
    """What a request has to be like before its headers matter. Returns host and port of its Host."""
    # RFC 6455 §4.2.1, 1: "HTTP/1.1 or higher", of which there is none that has Upgrade.
    if request.version != "1.1":
        raise HandshakeRejected(Violation.HTTP_VERSION, f"HTTP/{request.version}")
    if request.method != "GET":
        raise HandshakeRejected(Violation.METHOD, excerpt(request.method))
    # RFC 9112 §3.2: a path, or an absolute URI; RFC 6455 §3 has no fragments.
    if not request.path.startswith("/") or "#" in request.target:
        raise HandshakeRejected(Violation.BAD_REQUEST, "target is not a path")
    hosts = request.headers.get_all("Host")
    if len(hosts) != 1:
        raise HandshakeRejected(Violation.HOST, "repeated" if hosts else "missing")
    try:
        host = parse_host(hosts[0])
    except HeaderFormatError as error:
        raise HandshakeRejected(Violation.HOST, str(error)) from None
    # RFC 9112 §3.2: a client sends the same in both places; the two could fool those on the way.
    if request.authority is not None and request.authority.lower() != hosts[0].lower():
        raise HandshakeRejected(Violation.HOST, "not the host of the target")
    if "Transfer-Encoding" in request.headers:
        raise HandshakeRejected(Violation.BODY, "Transfer-Encoding")
    if any(length != "0" for length in request.headers.get_all("Content-Length")):
        raise HandshakeRejected(Violation.BODY, "Content-Length")
    return host


def _check_upgrade(headers: Headers) -> str:
    """Whether the request is one for an upgrade to WebSocket. Returns its key."""
    # RFC 6455 §4.2.1, 3: Upgrade has "websocket", in any case.
    if "websocket" not in read_list(headers, "Upgrade", HandshakeRejected, Violation.UPGRADE):
        raise HandshakeRejected(Violation.UPGRADE)
    # RFC 6455 §4.2.1, 4: Connection has "Upgrade", in any case.
    if "upgrade" not in read_list(headers, "Connection", HandshakeRejected, Violation.CONNECTION):
        raise HandshakeRejected(Violation.CONNECTION)
    # RFC 6455 §4.2.1, 6: before the key, since another version may have none.
    versions = headers.get_all("Sec-WebSocket-Version")
    if versions != [VERSION]:
        detail = "repeated" if len(versions) > 1 else excerpt(versions[0]) if versions else "missing"
        raise HandshakeRejected(Violation.WEBSOCKET_VERSION, detail)
    # RFC 6455 §4.2.1, 5: exactly one key, of 16 bytes when decoded.
    keys = headers.get_all("Sec-WebSocket-Key")
    if len(keys) != 1:
        raise HandshakeRejected(Violation.KEY, "repeated" if keys else "missing")
    if not is_key(keys[0]):
        raise HandshakeRejected(Violation.KEY, "not 16 bytes in base64")
    return keys[0]
