"""``bowstring demo``: the chat."""

from __future__ import annotations

import argparse
import webbrowser

from bowstring import codec
from bowstring.demo.self_check import CheckFailed, self_check
from bowstring.demo.server import WEBSOCKET_PATH, ChatServer

from .failure import Failure
from .listening import cannot_listen, host_in_url
from .running import run as run_program

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Serves until it is stopped."""
    return run_program(_demo(options), stopping_is_fine=True)


async def _demo(options: argparse.Namespace) -> int:
    server = ChatServer(options.host, options.port)
    try:
        await server.start()
    except OSError as exc:
        raise cannot_listen(options.host, options.port, exc) from exc
    async with server:
        address = f"{host_in_url(options.host)}:{server.port}"
        print(f"bowstring chat: http://{address}/  (open it in two windows; Ctrl-C stops it)", flush=True)
        try:
            seconds = await self_check(f"ws://{address}{WEBSOCKET_PATH}")
        except CheckFailed as exc:
            raise Failure(f"the demo's check of itself failed: {exc}") from exc
        simd = "" if codec.simd_level() == "none" else f", {codec.simd_level()}"
        print(
            f"checked: two clients joined a room, and a message took {seconds * 1000:.1f} ms "
            f"(codec: {codec.IMPLEMENTATION}{simd})",
            flush=True,
        )
        if options.open:
            webbrowser.open(f"http://{address}/")
        await server.serve_forever()
    return 0
