"""The asyncio client: ``async with connect(uri)``."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl as ssl_module
from collections.abc import Generator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from bowstring.drivers._shared.compression import CompressionOption, client_factories
from bowstring.drivers._shared.options import Options, check_number
from bowstring.drivers._shared.uri import Redirect, WebSocketURI, parse_uri
from bowstring.exceptions import InvalidStatus, ResponseRejected, Violation
from bowstring.protocol import Connection as Protocol
from bowstring.protocol import Role
from bowstring.protocol.extensions.base import ClientExtensionFactory
from bowstring.protocol.handshake.client import USER_AGENT, ClientHandshake
from bowstring.protocol.headers import Headers, HeadersLike
from bowstring.protocol.http11 import Request, Response, ResponseReader, encode_request

from .connection import Connection
from .loop import LoopResources, masking_keys

__all__ = ["ClientConnection", "connect"]


class ClientConnection(Connection):
    """A connection to a server."""

    __slots__ = ("_handshake", "_head", "_response", "_response_reader")

    def __init__(self, options: Options, handshake: ClientHandshake, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(options, loop)
        self._handshake = handshake
        self._response_reader: ResponseReader | None = ResponseReader()
        self._head: asyncio.Future[Response] = loop.create_future()
        self._response: Response | None = None

    async def _shake_hands(self) -> None:
        """Sends the request, waits for the response, and opens the connection.

        Raises:
            ResponseRejected: the response is not what it should be.
            OSError: the stream ended before it.
        """
        self.transport.write(encode_request(self._handshake.request))
        self._response = response = await self._head
        negotiated = self._handshake.check(response)
        self._subprotocol = negotiated.subprotocol
        reader, self._response_reader = self._response_reader, None
        assert reader is not None
        protocol = Protocol(
            Role.CLIENT,
            extensions=negotiated.extensions,
            max_message_size=self._options.max_size,
            max_fragments=self._options.max_fragments,
            decode=self._options.decode,
            masking_keys=masking_keys.take,
        )
        self._open(protocol, reader.trailing)
        if not self._lost:
            self.transport.resume_reading()

    def _opening_received(self, data: bytes) -> None:
        if self._response_reader is None or self._head.done():
            return
        try:
            response = self._response_reader.feed(data)
        except ResponseRejected as error:
            self._head.set_exception(error)
        else:
            self._response_arrived(response)

    def _response_arrived(self, response: Response | None) -> None:
        if response is not None:
            # What comes behind the head are frames already: they wait until the connection is open.
            self.transport.pause_reading()
            self._head.set_result(response)

    def _opening_ended(self, error: BaseException | None) -> None:
        if self._response_reader is None or self._head.done():
            return
        try:
            response = self._response_reader.eof()
        except ResponseRejected as rejected:
            self._head.set_exception(error or rejected)
        else:
            self._response_arrived(response)

    @property
    def request(self) -> Request:
        """The request that was sent."""
        return self._handshake.request

    @property
    def response(self) -> Response | None:
        """The server's response: ``status``, ``headers``."""
        return self._response


class connect:
    """Connects to a WebSocket server.

    ::

        async with connect("ws://localhost:8765") as connection:
            await connection.send("Hello")
            print(await connection.recv())

    ``await connect(...)`` gives the connection too; then closing it is up to you.

    Args:
        uri: ``ws://`` or ``wss://``, host, port, path and query. A user name and password go as basic authentication.
        origin: the Origin header.
        subprotocols: to offer, the preferred one first.
        additional_headers: further headers of the request.
        user_agent_header: the User-Agent header; ``None`` sends none.
        compression: ``"deflate"``, ``None``, or a :class:`Compression` with settings.
        extensions: further extensions, offered before compression.
        ssl: a context for wss; the system's certificates and a check of the host name if not given.
        server_hostname: the name to check the certificate against, if it is not the URI's host.
        unix_path: connects to a unix socket instead of the URI's host.
        max_redirects: how many redirects are followed; none from wss to ws, none with ``sock``, and none to another
            origin with ``unix_path`` or ``server_hostname``. No additional headers go to another origin.
        open_timeout, close_timeout, write_timeout, finish_delay, ping_interval, ping_timeout, max_size, max_fragments,
            max_queue, write_limit, decode, logger: see :class:`Options <bowstring.drivers._shared.options.Options>`.
        kwargs: for ``loop.create_connection``: ``sock``, ``local_addr``, ``happy_eyeballs_delay`` …

    Raises:
        InvalidURI: the URI is not one.
        TypeError, ValueError: an option does not fit; the message names it.
        OSError: the server cannot be reached; ``ssl.SSLError`` is one.
        InvalidStatus: the server answered with another status than 101.
        ResponseRejected: the server's answer breaks a rule.
        TimeoutError: the opening took more than ``open_timeout``.
    """

    def __init__(
        self,
        uri: str,
        *,
        origin: str | None = None,
        subprotocols: Sequence[str] | None = None,
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        compression: CompressionOption = "deflate",
        extensions: Sequence[ClientExtensionFactory] = (),
        ssl: ssl_module.SSLContext | None = None,
        server_hostname: str | None = None,
        unix_path: str | Path | None = None,
        max_redirects: int = 10,
        open_timeout: float | None = 10,
        close_timeout: float | None = 10,
        write_timeout: float | None = 20,
        finish_delay: float = 1,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        max_size: int | None = 1 << 20,
        max_fragments: int | None = 16_384,
        max_queue: int | tuple[int | None, int | None] | None = (16, 1 << 20),
        write_limit: int = 32 * 1024,
        decode: bool = True,
        logger: logging.Logger | None = None,
        **kwargs: Any,
    ) -> None:
        self._uri = parse_uri(uri)
        if ssl is not None and not isinstance(ssl, ssl_module.SSLContext):
            raise TypeError(f"ssl must be an ssl.SSLContext or None, not {type(ssl).__name__!r}")
        if ssl is not None and not self._uri.secure:
            raise ValueError("ssl must not be given for a ws:// URI: use wss://")
        check_number("max_redirects", max_redirects, integer=True)
        self._options = Options(
            open_timeout=open_timeout,
            close_timeout=close_timeout,
            write_timeout=write_timeout,
            finish_delay=finish_delay,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            max_size=max_size,
            max_fragments=max_fragments,
            max_queue=max_queue,
            write_limit=write_limit,
            decode=decode,
            logger=logger or logging.getLogger("bowstring.client"),
        )
        self._ssl = ssl
        self._server_hostname = server_hostname
        self._unix_path = unix_path
        self._max_redirects = max_redirects
        self._compression = compression
        self._extensions = tuple(extensions)
        self._additional_headers = Headers(additional_headers or ())
        self._handshake_settings: dict[str, Any] = {
            "origin": origin,
            "subprotocols": subprotocols,
            "user_agent_header": user_agent_header,
        }
        self._kwargs = kwargs
        self._connection: ClientConnection | None = None
        self._handshake(self._uri, self._additional_headers, None)  # complains about its settings now

    def _handshake(
        self, uri: WebSocketURI, additional_headers: Headers, loop: asyncio.AbstractEventLoop | None
    ) -> ClientHandshake:
        pool = None if loop is None else LoopResources.of(loop).compression_pool
        headers = additional_headers.copy()
        if uri.authorization is not None and "Authorization" not in headers:
            headers["Authorization"] = uri.authorization
        return ClientHandshake(
            host=uri.host_header,
            target=uri.target,
            nonce=os.urandom(16),
            additional_headers=headers,
            extensions=client_factories(self._compression, self._extensions, pool),
            **self._handshake_settings,
        )

    async def _connect(self) -> ClientConnection:
        timeout = self._options.open_timeout
        try:
            async with asyncio.timeout(timeout):
                return await self._follow_redirects()
        except TimeoutError as error:
            if isinstance(error.__cause__, asyncio.CancelledError):
                raise TimeoutError(f"opening the connection took more than {timeout:g} seconds") from None
            raise

    async def _follow_redirects(self) -> ClientConnection:
        uri, headers = self._uri, self._additional_headers
        for followed in range(self._max_redirects + 1):
            try:
                return await self._open(uri, headers)
            except InvalidStatus as error:
                redirect = Redirect.of(uri, error.response)
                if redirect is None or followed == self._max_redirects == 0 or "sock" in self._kwargs:
                    raise
                uri = redirect.uri
                if not redirect.same_origin:
                    if self._unix_path is not None or self._server_hostname is not None:
                        raise ResponseRejected(
                            Violation.REDIRECT, "to another origin, with unix_path or server_hostname given"
                        ) from None
                    headers = Headers()  # any of them may be a credential
        raise ResponseRejected(Violation.REDIRECT, f"more than {self._max_redirects} of them")

    async def _open(self, uri: WebSocketURI, additional_headers: Headers) -> ClientConnection:
        loop = asyncio.get_running_loop()
        handshake = self._handshake(uri, additional_headers, loop)
        connection = ClientConnection(self._options, handshake, loop)
        kwargs = dict(self._kwargs)
        if uri.secure:
            kwargs["ssl"] = self._ssl or ssl_module.create_default_context()
            kwargs["server_hostname"] = self._server_hostname or uri.host
        if self._unix_path is not None:
            await loop.create_unix_connection(lambda: connection, str(self._unix_path), **kwargs)
        elif "sock" in kwargs:
            await loop.create_connection(lambda: connection, **kwargs)
        else:
            if isinstance(loop, asyncio.BaseEventLoop):  # uvloop does not know it
                kwargs.setdefault("happy_eyeballs_delay", 0.25)
            await loop.create_connection(lambda: connection, uri.host, uri.port, **kwargs)
        try:
            await connection._shake_hands()
        except BaseException:
            connection._abort()
            await connection.wait_closed()
            raise
        return connection

    def __await__(self) -> Generator[Any, None, ClientConnection]:
        return self._connect().__await__()

    async def __aenter__(self) -> ClientConnection:
        self._connection = await self._connect()
        return self._connection

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._connection is not None
        await self._connection.__aexit__(exc_type, exc, traceback)
