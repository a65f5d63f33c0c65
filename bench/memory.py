"""Memory of a server for each idle connection: ``python bench/memory.py``.

A server in a process of its own; a client in this one opens connections, sends one JSON message on each and waits for
the echo, so that both directions have been used, and then leaves them idle. What is printed is the growth of the
server's resident memory by connection, for each contender without and with compression. A contender that is not
installed is left out by name.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import importlib.util
import json
import os
import resource
import subprocess
import sys
import zlib
from pathlib import Path

from bowstring import codec
from bowstring.constants import RSV1, Opcode
from bowstring.protocol.http11 import ResponseReader

#: As a service would send it: about 400 bytes.
MESSAGE = json.dumps(
    {
        "type": "update",
        "id": 123456,
        "symbol": "BOWS",
        "bid": 101.25,
        "ask": 101.5,
        "levels": [{"price": 101 + level / 4, "size": 100 * level, "orders": level} for level in range(8)],
    }
).encode()

CONTENDERS = ("bowstring", "websockets", "aiohttp")


# ---------------------------------------------------------------------- the server's side


async def _bowstring(compress: bool) -> int:
    from bowstring import ServerConnection, serve

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    server = await serve(echo, "127.0.0.1", 0, compression="deflate" if compress else None, ping_interval=None)
    return int(server.sockets[0].getsockname()[1])


async def _websockets(compress: bool) -> int:
    from websockets.asyncio.server import ServerConnection, serve

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    server = await serve(echo, "127.0.0.1", 0, compression="deflate" if compress else None, ping_interval=None)
    return int(next(iter(server.sockets)).getsockname()[1])


async def _aiohttp(compress: bool) -> int:
    from aiohttp import web

    async def echo(request: web.Request) -> web.WebSocketResponse:
        connection = web.WebSocketResponse(compress=compress)
        await connection.prepare(request)
        async for message in connection:
            await connection.send_str(message.data)
        return connection

    application = web.Application()
    application.router.add_get("/", echo)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return int(runner.addresses[0][1])


def _resident() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def _serve(contender: str, compress: bool) -> None:
    """Prints the port, and then the resident memory whenever a line comes in."""
    start = {"bowstring": _bowstring, "websockets": _websockets, "aiohttp": _aiohttp}[contender]
    print(await start(compress), flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        gc.collect()
        print(_resident(), flush=True)


# ---------------------------------------------------------------------- the client's side


async def _open(port: int, compress: bool) -> asyncio.StreamWriter:
    """One connection that has sent and received one message."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    offer = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" if compress else b""
    writer.write(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        + base64.b64encode(os.urandom(16))
        + b"\r\n"
        + offer
        + b"\r\n"
    )
    response, handshake = None, ResponseReader()
    while response is None:
        response = handshake.feed(await reader.read(65536))
    agreed = response.headers.get("Sec-WebSocket-Extensions", "")
    assert bool(agreed) is compress, f"agreed on {agreed!r}"
    payload, rsv = MESSAGE, 0
    if compress:
        bits = next((int(part.partition("=")[2]) for part in agreed.split("; ") if "client_max_window" in part), 15)
        deflater = zlib.compressobj(wbits=-bits)
        payload = (deflater.compress(MESSAGE) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
        rsv = RSV1
    writer.write(codec.encode_frame(Opcode.TEXT, payload, rsv=rsv, masking_key=os.urandom(4)))
    decoder, items = codec.FrameDecoder(expect_masked=False, allowed_rsv=RSV1), []
    while not items:
        items = decoder.feed(await reader.read(65536))
    assert isinstance(items[0], str) is not compress, "the echo is not as it was agreed"
    writer.transport.pause_reading()
    return writer


async def _measure(contender: str, compress: bool, connections: int) -> float:
    """The growth of the server's resident memory in bytes for each connection."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", contender, *(["--compress"] if compress else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None

    def resident() -> int:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    writers: list[asyncio.StreamWriter] = []
    try:
        port = int(process.stdout.readline())
        writers += [await _open(port, compress) for _ in range(50)]  # what is loaded and cached at first use
        before = resident()
        while len(writers) < connections + 50:
            batch = min(50, connections + 50 - len(writers))
            writers += await asyncio.gather(*(_open(port, compress) for _ in range(batch)))
        return (resident() - before) / connections
    finally:
        process.kill()
        process.wait()
        for writer in writers:
            writer.transport.abort()


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument("--contender", action="append", choices=CONTENDERS, help="default: all that are installed")
    parser.add_argument("--serve", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--compress", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    needed = max(arguments.connections + 500, 1024)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (-1, resource.RLIM_INFINITY) and needed > hard:
        parser.error(f"{arguments.connections} connections need {needed} open files, of which {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    if arguments.serve:
        asyncio.run(_serve(arguments.serve, arguments.compress))
        return
    print(f"{arguments.connections} idle connections; KiB of the server's memory for each")
    print(f"{'':12}{'plain':>8}{'deflate':>10}{'above':>8}")
    for contender in arguments.contender or CONTENDERS:
        if importlib.util.find_spec(contender) is None:
            print(f"{contender:12}not installed")
            continue
        plain, deflate = (
            asyncio.run(_measure(contender, compress, arguments.connections)) / 1024 for compress in (False, True)
        )
        print(f"{contender:12}{plain:8.1f}{deflate:10.1f}{deflate - plain:8.1f}", flush=True)


if __name__ == "__main__":
    main()
