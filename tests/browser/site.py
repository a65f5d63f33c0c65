"""A server of ours with a page for it on the same port, and a tap on the line between it and the browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import bowstring
from bowstring import codec
from bowstring.constants import RSV1

from .devtools import Browser, Page

__all__ = ["OPEN", "Site", "Tap", "echo", "opened", "site"]

#: Called in the page: connects ``peer`` to its server. Takes the options of ``Peer``.
OPEN = "async (options = {}) => { globalThis.peer = await Peer.open(options); }"

PAGE = Path(__file__).with_name("peer.html").read_bytes()


class Site:
    """A running server.

    Attributes:
        port: where it listens.
        scheme: of the page's address.
        responses: the answers that it gave to requests for WebSockets.
    """

    def __init__(self) -> None:
        self.port = 0
        self.scheme = "http"
        self.responses: list[bowstring.Response] = []
        self._opened: asyncio.Queue[bowstring.ServerConnection] = asyncio.Queue()

    @property
    def url(self) -> str:
        """The page's address."""
        return f"{self.origin}/"

    @property
    def origin(self) -> str:
        """What the page sends as its Origin."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def connection(self) -> bowstring.ServerConnection:
        """The next connection that the page has opened: the server's end of it, for the test to play."""
        return await self._opened.get()


async def echo(connection: bowstring.ServerConnection) -> None:
    """Sends back what comes."""
    async for message in connection:
        await connection.send(message)


async def leave(connection: bowstring.ServerConnection) -> None:
    """Leaves the connection to the test."""
    await connection.wait_closed()


@asynccontextmanager
async def site(
    handler: Callable[[bowstring.ServerConnection], Awaitable[None]] = leave, **settings: Any
) -> AsyncIterator[Site]:
    """Runs a server; the page is at ``/``, a WebSocket anywhere else."""
    running = Site()

    async def handle(connection: bowstring.ServerConnection) -> None:
        running._opened.put_nowait(connection)
        await handler(connection)

    def process_request(_: bowstring.ServerConnection, request: bowstring.Request) -> bowstring.Response | None:
        if request.path != "/":
            return None
        return bowstring.Response(200, "OK", bowstring.Headers({"Content-Type": "text/html; charset=utf-8"}), PAGE)

    def process_response(
        connection: bowstring.ServerConnection, request: bowstring.Request, response: bowstring.Response
    ) -> None:
        running.responses.append(response)

    async with bowstring.serve(
        handle, "127.0.0.1", 0, process_request=process_request, process_response=process_response, **settings
    ) as server:
        running.port = server.sockets[0].getsockname()[1]
        running.scheme = "http" if settings.get("ssl") is None else "https"
        yield running


class Line:
    """The bytes of one TCP connection, in both directions."""

    def __init__(self) -> None:
        self.to_server = bytearray()
        self.to_browser = bytearray()

    @property
    def is_websocket(self) -> bool:
        """Whether it is one, and not that of a page."""
        return self.to_browser.startswith(b"HTTP/1.1 101")

    def frames_to_server(self) -> list[Any]:
        """What the browser has sent: of compressed messages the frames."""
        return _frames(self.to_server, masked=True)

    def frames_to_browser(self) -> list[Any]:
        """What the server has sent: of compressed messages the frames."""
        return _frames(self.to_browser, masked=False)


def _frames(wire: bytearray, *, masked: bool) -> list[Any]:
    decoder = codec.FrameDecoder(expect_masked=masked, allowed_rsv=RSV1, max_message_size=None)
    return decoder.feed(bytes(wire).partition(b"\r\n\r\n")[2])


class Tap(Site):
    """Stands between the browser and a site, and keeps what passes: ``async with Tap(site) as tap``."""

    def __init__(self, tapped: Site) -> None:
        super().__init__()
        self._tapped = tapped
        self._lines: list[Line] = []
        self._relays: set[asyncio.Task[Any]] = set()

    @property
    def websockets(self) -> list[Line]:
        """The connections that have become WebSockets."""
        return [line for line in self._lines if line.is_websocket]

    async def connection(self) -> bowstring.ServerConnection:
        return await self._tapped.connection()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for relay in self._relays:
            relay.cancel()
        if self._relays:
            await asyncio.wait(self._relays)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = asyncio.current_task()
        assert relay is not None
        self._relays.add(relay)
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self._tapped.port)
        line = Line()
        self._lines.append(line)
        try:
            await asyncio.gather(
                self._pump(reader, onward_writer, line.to_server), self._pump(onward_reader, writer, line.to_browser)
            )
        except (OSError, asyncio.CancelledError):
            pass  # reset by one side, or the test is over
        finally:
            writer.close()
            onward_writer.close()

    @staticmethod
    async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, record: bytearray) -> None:
        while data := await source.read(65536):
            record += data
            target.write(data)
            await target.drain()
        target.write_eof()


@asynccontextmanager
async def opened(
    browser: Browser, here: Site, **options: Any
) -> AsyncIterator[tuple[Page, bowstring.ServerConnection]]:
    """A page of the site whose ``peer`` is connected to it, and our end of that."""
    async with browser.tabs() as tabs:
        page = await tabs.first(here.url)
        await page.run(OPEN, options)
        yield page, await here.connection()
