"""Checks an installed bowstring, with only itself and what it depends on installed: ``smoke.py cython|python``.

It is run from an empty directory, so that nothing but the installation can be imported. Wheels are tested with it.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.resources
import sys

import bowstring
from bowstring import codec

FILES = [
    "py.typed",
    "codec/_cython.pyi",
    "codec/_cython.pxd",
    "codec/_mask.h",
    "demo/static/index.html",
]


def check_codec(twin: str) -> None:
    assert twin == codec.IMPLEMENTATION, f"{codec.IMPLEMENTATION} is loaded, not {twin}: {codec.FALLBACK_REASON}"
    frames = codec.encode_frames(["Grüße", b"\0\1\2"], masking_keys=b"abcdefgh")
    decoder = codec.FrameDecoder(expect_masked=True)
    assert decoder.feed(frames) == ["Grüße", b"\0\1\2"]


def check_files() -> None:
    root = importlib.resources.files("bowstring")
    missing = [name for name in FILES if not root.joinpath(name).is_file()]
    assert not missing, f"not installed: {missing}"


def check_metadata() -> None:
    metadata = importlib.metadata.metadata("bowstring")
    assert metadata["Version"] == bowstring.__version__
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert len(needed) == 1, needed
    assert needed[0].startswith("h11"), needed


async def check_echo() -> None:
    async def echo(ws: bowstring.ServerConnection) -> None:
        async for message in ws:
            await ws.send(message)

    async with bowstring.serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with bowstring.connect(f"ws://127.0.0.1:{port}/") as ws:
            for message in ("Grüße", b"\0\1\2", "", "x" * 200_000):
                await ws.send(message)
                assert await ws.recv() == message


def main() -> None:
    (twin,) = sys.argv[1:]
    check_codec(twin)
    check_files()
    check_metadata()
    if sys.platform != "emscripten":  # which has no sockets
        asyncio.run(check_echo())
    print(f"bowstring {bowstring.__version__} works, over the {twin} twin, from {bowstring.__path__[0]}")


if __name__ == "__main__":
    main()
