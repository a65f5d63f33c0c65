"""A program on Node that uses the package ``ws``: told what to do by lines on its input, tells what happens by others."""

from __future__ import annotations

import asyncio
import json
import shutil
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any, Self

__all__ = ["Node", "NodeClient", "NodeServer", "encoded"]

DIRECTORY = Path(__file__).parent

EXIT_TIMEOUT = 5.0  # seconds


def executable() -> str:
    """Where Node is.

    Raises:
        FileNotFoundError: it is missing, or ``ws`` is; says how to come by it.
    """
    node = shutil.which("node")
    if node is None:
        raise FileNotFoundError("Node is needed on PATH (Debian: apt-get install nodejs npm)")
    if not (DIRECTORY / "node_modules" / "ws" / "package.json").exists():
        raise FileNotFoundError("Node's ws is not installed: npm ci --prefix tests/node")
    return node


class Node:
    """A running program: ``async with Node(script, *arguments) as node``."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._command = [executable(), str(DIRECTORY / script), *arguments]

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=64 << 20
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        return self

    async def __aexit__(self, *_: object) -> None:
        self._input.close()
        try:
            async with asyncio.timeout(EXIT_TIMEOUT):
                while await self._output.read(1 << 20):
                    pass
                status = await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise
        assert status == 0, f"Node ended with status {status}"

    async def _line(self) -> dict[str, Any]:
        line = await self._output.readline()
        assert line, "Node has ended"
        told: dict[str, Any] = json.loads(line)
        return told

    async def event(self, name: str) -> dict[str, Any]:
        """What happens next, which must be this."""
        told = await self._line()
        assert told.pop("event") == name, told
        return told

    async def close_or_error(self) -> dict[str, Any]:
        """Its close event, which an error may stand before: whether a broken connection is one depends on timing."""
        told = await self._line()
        if told.pop("event") == "error":
            return await self.event("close")
        return told

    async def message(self) -> str | bytes:
        """The message that comes next."""
        told = await self.event("message")
        return told["text"] if "text" in told else b64decode(told["base64"])

    async def do(self, command: str, **arguments: Any) -> None:
        """Tells it to do something with its WebSocket: the commands are those of ``common.mjs``."""
        self._input.write(json.dumps({"command": command, **arguments}).encode() + b"\n")
        await self._input.drain()

    async def send(self, message: str | bytes, **options: Any) -> None:
        """Has it send a message, or a fragment; options are those of ``ws.send``."""
        content = {"text": message} if isinstance(message, str) else {"base64": encoded(message)}
        await self.do("send", **content, options=options)


class NodeClient(Node):
    """``ws`` as a client; options are its own, and ``protocols``."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__("client.mjs", url, json.dumps(options))

    async def opened(self) -> dict[str, Any]:
        """Waits until it is connected; the headers of the answer, subprotocol and extensions."""
        return {**await self.event("upgrade"), **await self.event("open")}


class NodeServer(Node):
    """``ws`` as a server; options are its own, and those of ``server.mjs``.

    Attributes:
        url: its address.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("server.mjs", json.dumps(options))
        self.url = ""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.url = f"ws://127.0.0.1:{(await self.event('listening'))['port']}"
        return self


def encoded(data: bytes) -> str:
    """Bytes as they stand in commands and events."""
    return b64encode(data).decode()
