"""The server under test: sends every message back. Prints ``listening PORT TWIN`` when it is ready."""

from __future__ import annotations

import asyncio

from settings import SETTINGS

import bowstring
from bowstring import codec


async def echo(ws: bowstring.ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


async def main() -> None:
    async with bowstring.serve(echo, "127.0.0.1", 0, **SETTINGS) as server:
        port = server.sockets[0].getsockname()[1]
        print("listening", port, codec.IMPLEMENTATION, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
