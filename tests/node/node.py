"""Peers that Node's package ``ws`` plays: told what to do line by line, telling what happens to them."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any, Self

__all__ = ["ClientPeer", "Node", "Peer", "ServerPeer", "encoded"]

DIRECTORY = Path(__file__).parent

STOP_TIMEOUT = 10.0  # seconds


class Node:
    """The process that plays peers. Usable from any event loop, one after the other.

    Raises:
        FileNotFoundError: Node is missing, or ``ws`` is; says how to come by it.
    """

    def __init__(self) -> None:
        executable = shutil.which("node")
        if executable is None:
            raise FileNotFoundError("Node is needed on PATH (Debian: apt-get install nodejs npm)")
        if not (DIRECTORY / "node_modules" / "ws" / "package.json").exists():
            raise FileNotFoundError("Node's ws is not installed: npm ci --prefix tests/node")
        self._process = subprocess.Popen(
            [executable, str(DIRECTORY / "peers.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline() or 0)
        if not self._port:
            self.stop()
            raise RuntimeError("Node did not start")

    def client(self, url: str, *, protocols: list[str] | None = None, **options: Any) -> ClientPeer:
        """A client that connects to an address; options are those of ``ws``."""
        return ClientPeer(self._port, role="client", url=url, protocols=protocols or [], options=options)

    def server(self, **settings: Any) -> ServerPeer:
        """A server; the settings are those of ``server.mjs``, all others are options of ``ws``."""
        names = ("echo", "greeting", "preferred", "answers", "tls")
        own = {name: settings.pop(name) for name in names if name in settings}
        return ServerPeer(self._port, role="server", options=settings, **own)

    def stop(self) -> None:
        """Ends the process."""
        try:
            self._process.communicate(timeout=STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


class Peer:
    """One peer, for as long as the block lasts: ``async with node.client(url) as peer``."""

    def __init__(self, port: int, **what: Any) -> None:
        self._port = port
        self._what = what

    async def __aenter__(self) -> Self:
        # A message of megabytes is one line.
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=64 << 20)
        await self._tell(**self._what)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def _tell(self, **line: Any) -> None:
        self._writer.write(json.dumps(line).encode() + b"\n")
        await self._writer.drain()

    async def _told(self) -> dict[str, Any]:
        line = await self._reader.readline()
        assert line, "Node has ended"
        told: dict[str, Any] = json.loads(line)
        return told

    async def event(self, name: str) -> dict[str, Any]:
        """What happens next, which must be this."""
        told = await self._told()
        assert told.pop("event") == name, told
        return told

    async def close_or_error(self) -> dict[str, Any]:
        """Its close event, which an error may stand before: whether a broken connection is one depends on timing."""
        told = await self._told()
        return await self.event("close") if told.pop("event") == "error" else told

    async def message(self) -> str | bytes:
        """The message that comes next."""
        told = await self.event("message")
        return told["text"] if "text" in told else b64decode(told["base64"])

    async def do(self, command: str, **arguments: Any) -> None:
        """Tells it to do something with its WebSocket, of a server the latest: one of ``commands.mjs``."""
        await self._tell(command=command, **arguments)

    async def send(self, message: str | bytes, **options: Any) -> None:
        """Has it send a message, or a fragment; options are those of ``ws.send``."""
        content = {"text": message} if isinstance(message, str) else {"base64": encoded(message)}
        await self.do("send", **content, options=options)


class ClientPeer(Peer):
    """``ws`` as a client."""

    async def opened(self) -> dict[str, Any]:
        """Waits until it is connected; the headers of the answer, subprotocol and extensions."""
        return {**await self.event("upgrade"), **await self.event("open")}


class ServerPeer(Peer):
    """``ws`` as a server.

    Attributes:
        url: its address.
    """

    url = ""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        scheme = "wss" if "tls" in self._what else "ws"
        self.url = f"{scheme}://127.0.0.1:{(await self.event('listening'))['port']}"
        return self


def encoded(data: bytes) -> str:
    """Bytes as they stand in commands and events."""
    return b64encode(data).decode()
