"""The client under test: asks for one case after the other, and sends back every message.

Usage: ``case_client.py URL AGENT``. Prints ``connecting TWIN`` first.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

from settings import SETTINGS

import bowstring
from bowstring import codec


async def run_case(uri: str) -> None:
    # What goes wrong in a case is for wstest to judge; the next one is asked for all the same.
    with contextlib.suppress(bowstring.ConnectionClosed, bowstring.InvalidHandshake):
        async with bowstring.connect(uri, **SETTINGS) as ws:
            async for message in ws:
                await ws.send(message)


async def main(url: str, agent: str) -> None:
    print("connecting", codec.IMPLEMENTATION, flush=True)
    async with bowstring.connect(f"{url}/getCaseCount") as ws:
        count = int(await ws.recv())
    for case in range(1, count + 1):
        await run_case(f"{url}/runCase?case={case}&agent={agent}")
    async with bowstring.connect(f"{url}/updateReports?agent={agent}") as ws:
        await ws.wait_closed()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
