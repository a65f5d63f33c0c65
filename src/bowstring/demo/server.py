"""The chat on a port: the page by HTTP, the talk by WebSocket."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import bowstring
from bowstring import codec
from bowstring.constants import CloseCode

from .chat import Chat, Limits
from .page import page_files, page_headers

if TYPE_CHECKING:
    from bowstring.drivers.asyncio.server import Server
    from bowstring.drivers.asyncio.server_connection import ServerConnection
    from bowstring.protocol.http11 import Request, Response

__all__ = ["WEBSOCKET_PATH", "ChatServer"]

WEBSOCKET_PATH: Final = "/ws"

#: The largest message a page sends, with room to spare: 2,000 characters as JSON.
_MAX_SIZE: Final = 16 * 1024
#: What may wait for one client, in characters. Who lets more come together is not reading.
_MAX_BACKLOG = 1024 * 1024
#: Seconds between two looks at what is due.
_TICK = 1.0


class ConnectionLine:
    """The chat's line to one connection: takes events at once, and sends them at the client's own pace."""

    def __init__(self, ws: ServerConnection) -> None:
        self._ws = ws
        self._waiting: deque[str] = deque()
        self._backlog = 0
        self._end: tuple[int, str] | None = None
        self._work = asyncio.Event()

    def send(self, text: str) -> None:
        """Queues one event; a client with too much in its queue is disconnected."""
        if self._end is not None:
            return
        self._backlog += len(text)
        if self._backlog > _MAX_BACKLOG:
            # A Close would stand behind all that is not read.
            self._end = CloseCode.TRY_AGAIN_LATER, "reading too slowly"
            self._waiting.clear()
            self._ws.terminate()
            return
        self._waiting.append(text)
        self._work.set()

    def close(self, code: int, reason: str) -> None:
        """Ends the connection when the queue has been sent."""
        if self._end is None:
            self._end = code, reason
            self._work.set()

    async def run(self) -> None:
        """Sends what is queued until the connection ends."""
        try:
            while True:
                while self._waiting:
                    text = self._waiting.popleft()
                    self._backlog -= len(text)
                    await self._ws.send(text)
                if self._end is not None:
                    await self._ws.close(*self._end)
                    return
                self._work.clear()
                await self._work.wait()
        except bowstring.ConnectionClosed:
            return


class ChatServer:
    """A running chat: ``async with ChatServer("127.0.0.1", 8765) as server``.

    Args:
        host: the address to listen on.
        port: the port; 0 takes a free one.
        limits: what to put up with.
    """

    def __init__(self, host: str, port: int, *, limits: Limits | None = None) -> None:
        self.chat = Chat(limits, about={"twin": codec.IMPLEMENTATION, "simd": codec.simd_level()})
        self._host = host
        self._port = port
        self._files = page_files()
        self._server: Server | None = None
        self._clock: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to listen. ``async with`` does it too, and stops at its end.

        Raises:
            OSError: the address cannot be listened on.
        """
        if self._server is None:
            self._server = await bowstring.serve(
                self._talk, self._host, self._port, process_request=self._answer, max_size=_MAX_SIZE
            )
            self._clock = asyncio.create_task(self._keep_time())

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Says goodbye to everybody and stops listening."""
        if self._clock is not None:
            self._clock.cancel()
            await asyncio.wait([self._clock])
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self._running.sockets[0].getsockname()[1]
        return port

    async def serve_forever(self) -> None:
        """Serves until it is cancelled."""
        await self._running.serve_forever()

    @property
    def _running(self) -> Server:
        if self._server is None:
            raise RuntimeError("the server has not been started")
        return self._server

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answers with a file of the page, or lets the WebSocket handshake go on."""
        path = request.path.partition("?")[0]
        if path == WEBSOCKET_PATH:
            # A seat for everybody whose name is kept, and as many again for those who are coming back.
            if len(connection.server.connections) > 2 * self.chat.limits.people:
                return connection.respond(503, "The chat is full.\n")
            return None
        if request.method not in {"GET", "HEAD"}:
            return connection.respond(405, "The chat's page can only be read.\n")
        if path not in self._files:
            return connection.respond(404, "There is nothing here. The chat is at /.\n")
        content_type, body = self._files[path]
        return bowstring.Response(200, "OK", bowstring.Headers(page_headers(content_type)), body)

    async def _talk(self, ws: ServerConnection) -> None:
        line = ConnectionLine(ws)
        visitor = self.chat.visitor(line, time.monotonic())
        sender = asyncio.create_task(line.run())
        try:
            async for message in ws:
                visitor.receive(message, time.monotonic(), time.time())
        except bowstring.ConnectionClosed:
            pass
        finally:
            visitor.gone(time.monotonic())
            sender.cancel()
            await asyncio.wait([sender])

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            self.chat.tick(time.monotonic())
