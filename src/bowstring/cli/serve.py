"""``bowstring serve``: a server for trying things out."""

from __future__ import annotations

import argparse
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import bowstring

from .failure import Failure, os_error_text, printable
from .listening import cannot_listen, host_in_url
from .running import run as run_program

if TYPE_CHECKING:
    from bowstring.drivers.asyncio.server_connection import ServerConnection

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Serves until it is stopped."""
    return run_program(_serve(options), stopping_is_fine=True)


async def _serve(options: argparse.Namespace) -> int:
    tls = _tls(options.cert, options.key)
    try:
        server = await bowstring.serve(
            _echo if options.quiet else _echo_and_tell,
            options.host,
            options.port,
            origins=_origins(options.origin),
            ssl=tls,
        )
    except OSError as exc:
        raise cannot_listen(options.host, options.port, exc) from exc
    except ValueError as exc:
        raise Failure(str(exc), status=2) from exc
    try:
        port = server.sockets[0].getsockname()[1]
        scheme = "ws" if tls is None else "wss"
        print(f"Echo server on {scheme}://{host_in_url(options.host)}:{port}/ (Ctrl-C stops it)", flush=True)
        await server.serve_forever()
    finally:
        server.close()
        await server.wait_closed()
    return 0


async def _echo(ws: ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


async def _echo_and_tell(ws: ServerConnection) -> None:
    host, port, *_ = ws.remote_address
    who = f"{host}:{port}"
    path = ws.request.path if ws.request is not None else ""
    print(f"{who} opened {printable(path[:200])}", file=sys.stderr)
    try:
        await _echo(ws)
    finally:
        reason = f" ({printable(ws.close_reason)})" if ws.close_reason else ""
        print(f"{who} closed with {ws.close_code}{reason}", file=sys.stderr)


def _origins(given: list[str] | None) -> Literal["same"] | list[str] | None:
    if given is None:
        return "same"
    return None if "any" in given else given


def _tls(cert: str | None, key: str | None) -> ssl.SSLContext | None:
    if cert is None:
        if key is not None:
            raise Failure("--key needs --cert", status=2)
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)

    def password() -> str:
        raise Failure(f"the key in {key or cert} is encrypted: take the passphrase off first")

    for file in (cert, key or cert):
        try:
            Path(file).read_bytes()
        except OSError as exc:
            raise Failure(f"cannot read {file}: {os_error_text(exc)}") from exc
    try:
        context.load_cert_chain(cert, key, password)
    except ssl.SSLError as exc:
        what = "do not belong together" if exc.reason == "KEY_VALUES_MISMATCH" else "cannot be used: not PEM"
        files = cert if key is None else f"{cert} and {key}"
        raise Failure(f"certificate and key in {files} {what}") from exc
    return context
