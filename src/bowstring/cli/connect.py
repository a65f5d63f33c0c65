"""``bowstring connect``: a client for typing, for pipes, and for measuring round trips."""

from __future__ import annotations

import argparse
import asyncio
import math
import ssl
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import bowstring
from bowstring.constants import CloseCode

from .failure import Failure, os_error_text, printable
from .running import run as run_program
from .terminal import Lines, Output

if TYPE_CHECKING:
    from bowstring.drivers.asyncio.client import ClientConnection

__all__ = ["run"]

#: Seconds of silence after the end of a pipe that close the connection; the answers are still to come then.
_PIPE_WAIT = 1.0
_PING_INTERVAL = 1.0  # seconds
_CLOSE_TIMEOUT = 5.0  # seconds


def run(options: argparse.Namespace) -> int:
    """Connects, and talks until one of the two sides has enough."""
    return run_program(_connect(options), stopping_is_fine=False)


async def _connect(options: argparse.Namespace) -> int:
    ws = await _open(options)
    lost = None
    try:
        if options.ping is not None:
            await _ping(ws, options)
        else:
            await _talk(ws, options)
    except bowstring.ConnectionClosed as closed:
        lost = closed.error
    finally:
        # Also when the user stops it or nobody reads stdout: the server shall not have to guess.
        await ws.close(CloseCode.NORMAL_CLOSURE)
    closed_well = ws.close_code in {CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD}
    if not (closed_well and options.quiet):
        why = printable(ws.close_reason or str(lost or ""))
        print(f"bowstring: connection closed with {ws.close_code}{f' ({why})' if why else ''}", file=sys.stderr)
    return 0 if closed_well else 1


async def _open(options: argparse.Namespace) -> ClientConnection:
    """Connects, or says in one line why not."""
    url: str = options.url
    try:
        return await bowstring.connect(
            url,
            origin=options.origin,
            subprotocols=options.subprotocol,
            additional_headers=options.header,
            compression=None if options.no_compression else "deflate",
            ssl=_tls(options),
            open_timeout=options.timeout or None,
            close_timeout=_CLOSE_TIMEOUT,
            max_size=options.max_size,
        )
    except bowstring.InvalidStatus as exc:
        body = exc.response.body.decode("utf-8", "replace").strip().partition("\n")[0]
        status = f"{exc.response.status} {exc.response.reason}".strip()
        raise Failure(f"the server answered HTTP {status}{f': {body[:200]}' if body else ''}") from exc
    except bowstring.InvalidHandshake as exc:
        raise Failure(f"this is not a WebSocket server: {exc}") from exc
    except TimeoutError as exc:
        raise Failure(f"no connection to {_place(url)} within {options.timeout:g} seconds") from exc
    except OSError as exc:
        hint = ""
        if isinstance(exc, ssl.SSLCertVerificationError):
            hint = " (--cafile FILE trusts its issuer, --insecure trusts everybody)"
        raise Failure(f"cannot connect to {_place(url)}: {os_error_text(exc)}{hint}") from exc
    except (TypeError, ValueError) as exc:  # of the arguments: InvalidURI is one
        raise Failure(str(exc), status=2) from exc


def _place(url: str) -> str:
    """Host and port of a valid URL; a password in it is nobody's business."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    if options.cafile is None and not options.insecure:
        return None
    if not options.url.lower().startswith("wss:"):
        raise Failure("--cafile and --insecure are for wss:// URLs", status=2)
    try:
        context = ssl.create_default_context(cafile=options.cafile)
    except ssl.SSLError as exc:
        raise Failure(f"{options.cafile} has no certificate in PEM format") from exc
    except OSError as exc:
        raise Failure(f"cannot read {options.cafile}: {os_error_text(exc)}") from exc
    if options.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _ping(ws: ClientConnection, options: argparse.Namespace) -> None:
    """Shows round trips, and what they come to."""
    drain = asyncio.create_task(_drain(ws))
    trips: list[float] = []
    try:
        for number in range(options.ping):
            if number:
                await asyncio.sleep(_PING_INTERVAL)
            async with asyncio.timeout(options.timeout or None):
                trips.append(1000 * await (await ws.ping()))
            print(f"{trips[-1]:.2f} ms", flush=True)
    except TimeoutError as exc:
        raise Failure(f"no pong within {options.timeout:g} seconds") from exc
    finally:
        drain.cancel()
        await asyncio.wait([drain])
    if len(trips) > 1:
        mean = sum(trips) / len(trips)
        print(f"{len(trips)} pings: min {min(trips):.2f} ms, mean {mean:.2f} ms, max {max(trips):.2f} ms")


async def _drain(ws: ClientConnection) -> None:
    """Takes messages, since pongs are behind them."""
    try:
        async for _ in ws:
            pass
    except bowstring.ConnectionClosed:
        pass  # the ping will say so


async def _talk(ws: ClientConnection, options: argparse.Namespace) -> None:
    """Lines go out and messages come in, until the server closes or stdin has ended and it is quiet."""
    output = Output(raw_binary=options.binary)
    if output.interactive and not options.quiet:
        print(f"Connected to {printable(options.url)} (Ctrl-D closes)", file=sys.stderr)
    wait = options.wait if options.wait is not None else 0.0 if output.interactive else _PIPE_WAIT
    heard_at = time.monotonic()

    async def receive() -> None:
        nonlocal heard_at
        async for message in ws:
            output.show(message)
            heard_at = time.monotonic()

    async def send() -> None:
        output.prompt()
        async for line in Lines(sys.stdin.fileno()):
            await ws.send(line if options.binary else _text(line))
            output.prompt()

    receiver, sender = asyncio.create_task(receive()), asyncio.create_task(send())
    try:
        await asyncio.wait({receiver, sender}, return_when=asyncio.FIRST_COMPLETED)
        if not receiver.done():
            await sender
            heard_at = time.monotonic()
            while not receiver.done() and (left := heard_at + wait - time.monotonic()) > 0:
                await asyncio.wait({receiver}, timeout=None if math.isinf(wait) else left)
        if receiver.done():
            receiver.result()
    finally:
        output.end()
        for task in (receiver, sender):
            task.cancel()
        await asyncio.gather(receiver, sender, return_exceptions=True)


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as exc:
        raise Failure("a line of stdin is not UTF-8: send it with --binary") from exc
