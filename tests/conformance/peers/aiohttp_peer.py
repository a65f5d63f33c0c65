"""``aiohttp`` as server and as client.

Usage: ``aiohttp_peer.py server`` or ``aiohttp_peer.py client URL AGENT``.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
from aiohttp import web

MAX_SIZE = 32 << 20


async def echo(ws: web.WebSocketResponse | aiohttp.ClientWebSocketResponse) -> None:
    async for message in ws:
        if message.type is aiohttp.WSMsgType.TEXT:
            await ws.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await ws.send_bytes(message.data)
        else:
            break


async def handle(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(compress=True, max_msg_size=MAX_SIZE)
    await ws.prepare(request)
    await echo(ws)
    return ws


async def server() -> None:
    application = web.Application()
    application.router.add_get("/", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print("listening", runner.addresses[0][1], "aiohttp", aiohttp.__version__, flush=True)
    await asyncio.get_running_loop().create_future()


async def client(url: str, agent: str) -> None:
    print("connecting aiohttp", aiohttp.__version__, flush=True)
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"{url}/getCaseCount") as ws:
            count = int(await ws.receive_str())
        for case in range(1, count + 1):
            try:
                target = f"{url}/runCase?case={case}&agent={agent}"
                async with session.ws_connect(target, compress=15, max_msg_size=MAX_SIZE) as ws:
                    await echo(ws)
            except aiohttp.ClientError as error:
                print(case, repr(error))
        async with session.ws_connect(f"{url}/updateReports?agent={agent}") as ws:
            await ws.receive()


if __name__ == "__main__":
    role, *rest = sys.argv[1:]
    asyncio.run(server() if role == "server" else client(*rest))
