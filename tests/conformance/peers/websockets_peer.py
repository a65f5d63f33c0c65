"""The ``websockets`` package, and the layer of ``picows`` that has the same interface, as server and as client.

Usage: ``websockets_peer.py websockets|picows server`` or ``websockets_peer.py websockets|picows client URL AGENT``.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.metadata
import sys
from typing import Any

SETTINGS: dict[str, Any] = {"compression": "deflate", "max_size": 32 << 20, "ping_interval": None}


async def echo(ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


async def server(library: Any, description: str) -> None:
    async with library.serve(echo, "127.0.0.1", 0, **SETTINGS) as listening:
        print("listening", next(iter(listening.sockets)).getsockname()[1], description, flush=True)
        await asyncio.get_running_loop().create_future()


async def client(library: Any, description: str, url: str, agent: str) -> None:
    print("connecting", description, flush=True)
    async with library.connect(f"{url}/getCaseCount") as ws:
        count = int(await ws.recv())
    for case in range(1, count + 1):
        with contextlib.suppress(library.ConnectionClosed, library.InvalidHandshake):
            async with library.connect(f"{url}/runCase?case={case}&agent={agent}", **SETTINGS) as ws:
                await echo(ws)
    async with library.connect(f"{url}/updateReports?agent={agent}") as ws:
        await ws.wait_closed()


if __name__ == "__main__":
    name, role, *arguments = sys.argv[1:]
    module = importlib.import_module({"websockets": "websockets", "picows": "picows.websockets"}[name])
    version = f"{name} {importlib.metadata.version(name)}"
    asyncio.run(server(module, version) if role == "server" else client(module, version, *arguments))
