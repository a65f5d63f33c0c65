"""The server's end of a connection: its opening handshake, and the run of its handler."""

from __future__ import annotations

import asyncio
import inspect
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from bowstring.constants import CloseCode, State
from bowstring.drivers._shared.timer_wheel import Timer
from bowstring.exceptions import ConnectionClosed, HandshakeRejected
from bowstring.protocol import Connection as Protocol
from bowstring.protocol import Role
from bowstring.protocol.handshake.server import Accepted
from bowstring.protocol.headers import Headers
from bowstring.protocol.http11 import Request, RequestReader, Response, encode_response, parse_request

from .connection import Connection

if TYPE_CHECKING:
    from .server import Server

__all__ = ["ServerConnection"]


class ServerConnection(Connection):
    """A connection that a client has opened. Given to the handler when it is open."""

    __slots__ = ("_accepted_at", "_open_timer", "_raw_request", "_reader_of_head", "_response", "_server")

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(server.options, loop)
        self._server = server
        self._reader_of_head: RequestReader | None = RequestReader()
        self._open_timer: Timer | None = None
        self._raw_request = b""  # parsed when it is asked for: most handlers never do
        self._response: Response | None = None
        self._accepted_at = loop.time()  # before the TLS handshake, if there is one

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts the clock of the opening handshake."""
        super().connection_made(transport)
        self._server._connection_began(self)
        if self._options.open_timeout is not None:
            # For the whole opening, and not renewed by progress: a slow sender gets no longer than a silent one.
            passed = self._loop.time() - self._accepted_at
            self._open_timer = self._call_later(self._options.open_timeout - passed, self._open_timed_out)

    @property
    def is_being_answered(self) -> bool:
        """Whether the client's request is complete, and not yet answered."""
        return bool(self._raw_request) and self._response is None

    def _open_timed_out(self) -> None:
        self._open_timer = None
        self._options.logger.debug("opening handshake took too long: %s", self.remote_address)
        self._abort()

    def _opening_received(self, data: bytes) -> None:
        reader = self._reader_of_head
        if reader is None:
            return  # the answer is on its way; what the client still sends is not wanted
        try:
            request = reader.feed(data)
        except HandshakeRejected as error:
            self._reject(error)
            return
        if request is not None:
            self._reader_of_head = None
            self._raw_request = reader.raw
            self._request_received(request, reader.trailing)

    def _opening_ended(self, error: BaseException | None) -> None:
        if self._reader_of_head is not None:
            self._options.logger.debug("connection ended before its request was complete")
            self._reader_of_head = None

    def _request_received(self, request: Request, trailing: bytes) -> None:
        server = self._server
        if server.process_request is None and server.process_response is None:
            # Nothing to wait for: the answer goes out in the same turn of the loop.
            if self._accept(request, trailing):
                server._run(self._handle())
        else:
            self.transport.pause_reading()
            server._run(self._process(request, trailing))

    async def _process(self, request: Request, trailing: bytes) -> None:
        """Like :meth:`_accept`, with the application's hooks around it, and then the handler."""
        try:
            response = None
            if self._server.process_request is not None:
                result = self._server.process_request(self, request)
                response = await result if inspect.isawaitable(result) else result
            if response is not None:
                opened = self._answer(response)
            else:
                opened = await self._accept_and_process_response(request, trailing)
        except Exception:
            self._options.logger.exception("process_request or process_response failed")
            opened = self._answer(self.respond(HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed.\n"))
        if opened:
            await self._handle()

    async def _accept_and_process_response(self, request: Request, trailing: bytes) -> bool:
        process = self._server.process_response

        def processed(response: Response) -> Any:
            return None if process is None else process(self, request, response)

        try:
            accepted = self._negotiate(request)
        except HandshakeRejected as error:
            response = self._server.handshake.reject(error)
            result = processed(response)
            replaced = await result if inspect.isawaitable(result) else result
            return self._answer(replaced or response)
        result = processed(accepted.response)
        replaced = await result if inspect.isawaitable(result) else result
        response = replaced or accepted.response
        if response.status != HTTPStatus.SWITCHING_PROTOCOLS:
            return self._answer(response)
        self._switch(response, accepted.subprotocol, accepted.extensions, trailing)
        self.transport.resume_reading()
        return not self._lost

    def _negotiate(self, request: Request) -> Accepted:
        select = self._server.select_subprotocol
        return self._server.handshake.accept(
            request,
            secure=self._server.is_secure,
            select_subprotocol=None if select is None else lambda offered: select(self, offered),
        )

    def _accept(self, request: Request, trailing: bytes) -> bool:
        """Answers the request. Returns whether the connection is open."""
        try:
            accepted = self._negotiate(request)
        except HandshakeRejected as error:
            self._reject(error)
            return False
        except Exception:
            self._options.logger.exception("select_subprotocol or origins failed")
            return self._answer(self.respond(HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed.\n"))
        self._switch(accepted.response, accepted.subprotocol, accepted.extensions, trailing)
        return True

    def _switch(self, response: Response, subprotocol: str | None, extensions: Any, trailing: bytes) -> None:
        """Sends the 101; from here on it is frames."""
        if self._lost:
            return
        self._stop_open_timer()
        self._response = response
        self._subprotocol = subprotocol
        self.transport.write(encode_response(response))
        protocol = Protocol(
            Role.SERVER,
            extensions=extensions,
            max_message_size=self._options.max_size,
            max_fragments=self._options.max_fragments,
            decode=self._options.decode,
        )
        self._open(protocol, trailing)

    def _reject(self, error: HandshakeRejected) -> None:
        # What a client sent wrong is its own business: no traceback, and nothing of it in the line.
        self._options.logger.debug("opening handshake rejected: %s", error.violation.text)
        self._answer(self._server.handshake.reject(error))

    def _answer(self, response: Response) -> bool:
        """Sends an answer other than 101, and ends the stream. Returns that the connection is not open."""
        self._reader_of_head = None
        self._response = response
        if not self._lost:
            self.transport.resume_reading()
            request = self.request
            head = request is not None and request.method == "HEAD"
            self.transport.write(encode_response(response, head=head))
            self._half_close()
            self._start_close_timer()
        return False

    async def _handle(self) -> None:
        """Runs the handler, and closes the connection after it."""
        if self._server.is_closing:
            self._close(CloseCode.GOING_AWAY, "")
        try:
            await self._server.handler(self)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                self._abort()
                raise
            self._handler_failed(error)  # it has awaited what somebody else cancelled
        except Exception as error:
            if self.state is not State.OPEN and _is_end_of_connection(error):
                # What a peer did is no failure of the handler's.
                self._options.logger.debug("handler ended with its connection: %s", error)
            else:
                self._handler_failed(error)
        await self.close()

    def _handler_failed(self, error: BaseException) -> None:
        self._options.logger.error("connection handler failed", exc_info=error)
        self._close(CloseCode.INTERNAL_ERROR, "")

    def _stop_open_timer(self) -> None:
        if self._open_timer is not None:
            self._open_timer.cancel()
            self._open_timer = None

    def _disconnected(self) -> None:
        self._stop_open_timer()
        self._server._connection_ended(self)

    def respond(self, status: int, text: str) -> Response:
        """Makes a plain-text answer, to be returned from ``process_request``.

        Args:
            status: the HTTP status.
            text: the body.
        """
        headers = Headers([("Content-Type", "text/plain; charset=utf-8")])
        return Response(int(status), HTTPStatus(status).phrase, headers, text.encode())

    @property
    def request(self) -> Request | None:
        """The client's request: ``path``, ``headers``. Parsed anew at each access."""
        return parse_request(self._raw_request) if self._raw_request else None

    @property
    def response(self) -> Response | None:
        """The response that was sent."""
        return self._response

    @property
    def server(self) -> Server:
        """The server that it belongs to."""
        return self._server


def _is_end_of_connection(error: BaseException) -> bool:
    """Whether an error is nothing but the end of a connection; one that comes out of a TaskGroup is in a group."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_end_of_connection, error.exceptions))
    return isinstance(error, ConnectionClosed)
