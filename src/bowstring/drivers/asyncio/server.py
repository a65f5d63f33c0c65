"""The asyncio server: ``async with serve(handler, host, port)``."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl as ssl_module
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from bowstring.constants import CloseCode, State
from bowstring.drivers._shared.compression import CompressionOption, server_factories
from bowstring.drivers._shared.options import Options
from bowstring.protocol.close import check_close
from bowstring.protocol.extensions.base import ServerExtensionFactory
from bowstring.protocol.handshake.origins import Origins
from bowstring.protocol.handshake.server import SERVER_HEADER, ServerHandshake
from bowstring.protocol.http11 import Request, Response

from .loop import LoopResources
from .server_connection import ServerConnection

__all__ = ["Handler", "Server", "serve"]

Handler: TypeAlias = Callable[[ServerConnection], Awaitable[Any]]
ProcessRequest: TypeAlias = Callable[[ServerConnection, Request], Awaitable[Response | None] | Response | None]
ProcessResponse: TypeAlias = Callable[
    [ServerConnection, Request, Response], Awaitable[Response | None] | Response | None
]
SelectSubprotocol: TypeAlias = Callable[[ServerConnection, Sequence[str]], str | None]


class Server:
    """A running server: what ``serve()`` gives."""

    def __init__(
        self,
        handler: Handler,
        *,
        options: Options,
        handshake: ServerHandshake,
        process_request: ProcessRequest | None,
        process_response: ProcessResponse | None,
        select_subprotocol: SelectSubprotocol | None,
        is_secure: bool,
    ) -> None:
        self.handler = handler
        self.options = options
        self.handshake = handshake
        self.process_request = process_request
        self.process_response = process_response
        self.select_subprotocol = select_subprotocol
        self.is_secure = is_secure
        self._asyncio_server: asyncio.Server
        self._connections: set[ServerConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()  # of handlers
        self._closing: asyncio.Task[None] | None = None
        self._close_called = asyncio.Event()
        self._closed = asyncio.Event()

    # ------------------------------------------------------------------ for the application

    @property
    def connections(self) -> set[ServerConnection]:
        """The open connections: a new set, safe to iterate over while connections come and go."""
        return {connection for connection in self._connections if connection.state is State.OPEN}

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets; ``sockets[0].getsockname()[1]`` is the port that port 0 became."""
        return tuple(self._asyncio_server.sockets)

    @property
    def is_serving(self) -> bool:
        """Whether new connections are accepted."""
        return self._asyncio_server.is_serving()

    @property
    def is_closing(self) -> bool:
        """Whether :meth:`close` has been called."""
        return self._closing is not None

    async def start_serving(self) -> None:
        """Begins to accept, if ``serve(..., start_serving=False)`` has left that open."""
        await self._asyncio_server.start_serving()

    async def serve_forever(self, *, handle_signals: bool = False) -> None:
        """Serves until :meth:`close` is called or this is cancelled; then closes, and waits until all is closed.

        Args:
            handle_signals: whether SIGINT and SIGTERM call :meth:`close`; a second one ends what is still going on.
                Only in the main thread, and not on the event loops of Windows, where Ctrl-C cancels instead.
        """
        handled = self._handle_signals() if handle_signals else ()
        try:
            await self.start_serving()
            await self._close_called.wait()
        finally:
            self.close()
            await self.wait_closed()
            for number in handled:
                asyncio.get_running_loop().remove_signal_handler(number)

    def close(self, close_connections: bool = True, code: int = CloseCode.GOING_AWAY, reason: str = "") -> None:
        """Stops accepting, and closes the connections. Returns at once; :meth:`wait_closed` waits for the end.

        Args:
            close_connections: whether open connections get a Close; otherwise they go on until they end, or until
                this is called again.
            code, reason: of that Close.

        Raises:
            TypeError, ValueError: code or reason do not fit.
        """
        check_close(code, reason)
        if self._closing is None:
            self._asyncio_server.close()
            self._closing = asyncio.get_running_loop().create_task(self._wait_for_all())
            self._close_called.set()
        for connection in list(self._connections):
            if connection.state is State.CONNECTING:
                if not connection.is_being_answered:
                    connection.terminate()
            elif close_connections:
                connection._close(code, reason)

    def _terminate(self) -> None:
        """Ends at once what is still going on."""
        for connection in list(self._connections):
            connection.terminate()
        for task in self._tasks:
            task.cancel()

    async def wait_closed(self) -> None:
        """Waits until the server, all its connections and their handlers have ended."""
        await self._closed.wait()

    # ------------------------------------------------------------------ for its connections

    def _connection_began(self, connection: ServerConnection) -> None:
        self._connections.add(connection)
        if self.is_closing:  # it was accepted before, and its TLS handshake has taken until now
            connection.terminate()

    def _connection_ended(self, connection: ServerConnection) -> None:
        self._connections.discard(connection)

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ------------------------------------------------------------------ closing

    async def _wait_for_all(self) -> None:
        while self._connections:
            await asyncio.gather(*(connection.wait_closed() for connection in self._connections))
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._closed.set()

    def _signalled(self) -> None:
        if self.is_closing:
            self._terminate()
        else:
            self.close()

    def _handle_signals(self) -> Sequence[signal.Signals]:
        loop = asyncio.get_running_loop()
        handled: list[signal.Signals] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(number, self._signalled)
            except NotImplementedError:  # Windows
                break
            handled.append(number)
        return handled


class serve:
    """Starts a WebSocket server.

    ::

        async def handler(connection):
            async for message in connection:
                await connection.send(message)

        async with serve(handler, "localhost", 8765) as server:
            await server.serve_forever()

    ``await serve(...)`` gives the server too; then closing it is up to you.

    Args:
        handler: called with each :class:`ServerConnection` once it is open. When it returns, the connection is
            closed with 1000; when it raises, the error is logged and the connection closed with 1011.
        host: the address to listen on; ``None`` is all of them, of IPv4 and IPv6.
        port: the port; 0 picks a free one.
        origins: which pages may connect (RFC 6455 §10.2): ``"same"`` (the Origin must be this host), a list, a
            compiled regular expression, a callable, or ``None`` for any. Programs that are not browsers send no
            Origin, and pass ``"same"``.
        subprotocols: those that the handler speaks, the preferred one first.
        select_subprotocol: ``select_subprotocol(connection, offered)`` returns the one to use, or ``None``.
        process_request: ``process_request(connection, request)`` may return a :class:`Response` to answer instead of
            opening: an error, or a page. May be a coroutine. See :meth:`ServerConnection.respond`.
        process_response: ``process_response(connection, request, response)`` may change or replace the answer.
        server_header: the Server header; ``None`` sends none.
        compression: ``"deflate"``, ``None``, or a :class:`Compression` with settings.
        extensions: further extensions, before compression.
        ssl: a context, for wss.
        unix_path: listens on a unix socket instead.
        open_timeout, close_timeout, write_timeout, finish_delay, ping_interval, ping_timeout, max_size, max_fragments,
            max_queue, write_limit, decode, logger: see :class:`Options <bowstring.drivers._shared.options.Options>`.
        kwargs: for ``loop.create_server``: ``sock``, ``backlog``, ``reuse_port``, ``start_serving`` …

    Raises:
        TypeError, ValueError: an option does not fit; the message names it.
        OSError: the address cannot be listened on.
    """

    def __init__(
        self,
        handler: Handler,
        host: str | Sequence[str] | None = None,
        port: int | None = None,
        *,
        origins: Origins = "same",
        subprotocols: Sequence[str] | None = None,
        select_subprotocol: SelectSubprotocol | None = None,
        process_request: ProcessRequest | None = None,
        process_response: ProcessResponse | None = None,
        server_header: str | None = SERVER_HEADER,
        compression: CompressionOption = "deflate",
        extensions: Sequence[ServerExtensionFactory] = (),
        ssl: ssl_module.SSLContext | None = None,
        unix_path: str | Path | None = None,
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
        if not callable(handler):
            raise TypeError(f"handler must be a function, not {type(handler).__name__!r}")
        for name, hook in (
            ("process_request", process_request),
            ("process_response", process_response),
            ("select_subprotocol", select_subprotocol),
        ):
            if hook is not None and not callable(hook):
                raise TypeError(f"{name} must be a function or None, not {type(hook).__name__!r}")
        if ssl is not None and not isinstance(ssl, ssl_module.SSLContext):
            raise TypeError(f"ssl must be an ssl.SSLContext or None, not {type(ssl).__name__!r}")
        if unix_path is None and "sock" not in kwargs and port is None:
            raise ValueError("port must be given: 0 picks a free one")
        if port is not None and not (isinstance(port, int) and 0 <= port <= 65535):
            raise ValueError(f"port must be between 0 and 65535, not {port!r}")
        self._handler = handler
        self._host = host
        self._port = port
        self._unix_path = unix_path
        self._ssl = ssl
        self._kwargs = kwargs
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
            logger=logger or logging.getLogger("bowstring.server"),
        )
        self._hooks: dict[str, Any] = {
            "process_request": process_request,
            "process_response": process_response,
            "select_subprotocol": select_subprotocol,
        }
        self._compression = compression
        self._extensions = tuple(extensions)
        self._handshake_settings: dict[str, Any] = {
            "origins": origins,
            "subprotocols": subprotocols,
            "server_header": server_header,
        }
        self._handshake(None)  # complains about its settings now

    def _handshake(self, loop: asyncio.AbstractEventLoop | None) -> ServerHandshake:
        pool = None if loop is None else LoopResources.of(loop).compression_pool
        factories = server_factories(self._compression, self._extensions, pool)
        return ServerHandshake(**self._handshake_settings, extensions=factories)

    async def _start(self) -> Server:
        loop = asyncio.get_running_loop()
        server = Server(
            self._handler,
            options=self._options,
            handshake=self._handshake(loop),
            is_secure=self._ssl is not None,
            **self._hooks,
        )
        kwargs = self._kwargs
        if self._ssl is not None:
            kwargs = {"ssl": self._ssl, "ssl_handshake_timeout": self._options.open_timeout, **kwargs}

        def connection() -> ServerConnection:
            return ServerConnection(server, loop)

        if self._unix_path is not None:
            server._asyncio_server = await loop.create_unix_server(connection, str(self._unix_path), **kwargs)
        else:
            server._asyncio_server = await loop.create_server(connection, self._host, self._port, **kwargs)
        return server

    def __await__(self) -> Generator[Any, None, Server]:
        return self._start().__await__()

    async def __aenter__(self) -> Server:
        self._server = await self._start()
        return self._server

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()
