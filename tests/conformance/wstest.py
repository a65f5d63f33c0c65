"""wstest's two modes: its fuzzing client runs the cases against a server, its fuzzing server against a client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT = 20.0

#: Seconds without a word from wstest after which a run is given up. It prints a line for each case, and none takes a
#: tenth of this.
STALL_TIMEOUT = 240.0

POLL = 0.05  # seconds between two looks at a log


class RunError(Exception):
    """wstest, or the program under test, did not do its part."""


@dataclass(frozen=True)
class Program:
    """A program under test: as a server it echoes, as a client it asks for all cases and echoes.

    Its first line of output is ``listening PORT DESCRIPTION`` or ``connecting DESCRIPTION``; a client gets the address
    and the agent's name as its last arguments.
    """

    command: Sequence[str | Path]
    env: dict[str, str]


@contextlib.asynccontextmanager
async def _running(
    command: Sequence[str | Path], log: Path, *, env: dict[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs a program while the block runs, in the directory of its ``log``; ends this one process, by its id."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=log.parent,
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.kill()
                await process.wait()


def _read(log: Path) -> str:
    return log.read_text(errors="replace")


def _last_words(log: Path) -> str:
    return f"{(_read(log).strip() or 'it said nothing').splitlines()[-1]} (see {log})"


async def _first_line(log: Path, process: asyncio.subprocess.Process) -> list[str]:
    """The words of the first line of a program's output, without the one that says that it started."""
    deadline = time.monotonic() + START_TIMEOUT
    while "\n" not in (text := _read(log)):
        if process.returncode is not None or time.monotonic() > deadline:
            break
        await asyncio.sleep(POLL)
    words = text.partition("\n")[0].split()
    if words[:1] not in (["listening"], ["connecting"]):
        raise RunError(f"its program did not start: {_last_words(log)}")
    return words[1:]


async def _drive(
    driver: asyncio.subprocess.Process, driver_log: Path, other: asyncio.subprocess.Process, other_log: Path
) -> None:
    """Waits until the program that asks for the cases has ended, as long as there is progress from case to case."""
    progress, since = "", time.monotonic()
    while driver.returncode is None:
        # wstest drives a server, and is driven by a client; in one of the logs is its line for each case.
        if (grown := _read(driver_log) + _read(other_log)) != progress:
            progress, since = grown, time.monotonic()
        if time.monotonic() - since > STALL_TIMEOUT:
            raise RunError(f"no progress for {STALL_TIMEOUT:.0f} s; the last line of wstest.log names the case")
        if other.returncode is not None:
            raise RunError(f"its other side ended, with status {other.returncode}: {_last_words(other_log)}")
        await asyncio.sleep(POLL)
    if driver.returncode:
        raise RunError(f"the run ended with status {driver.returncode}: {_last_words(driver_log)}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


async def _listening(port: int, process: asyncio.subprocess.Process) -> None:
    """Waits until wstest accepts connections."""
    deadline = time.monotonic() + START_TIMEOUT
    while process.returncode is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(POLL)
    raise RunError("wstest did not start to listen")


def _command(wstest: Path, mode: str, spec: dict[str, object], directory: Path) -> list[str | Path]:
    path = directory / "spec.json"
    path.write_text(json.dumps(spec, indent=1))
    # -u: a line of its output has to be in the log at once, since _drive() looks for it.
    return [wstest.with_name("python"), "-u", wstest, "--mode", mode, "--spec", path, "--webport", "0"]


async def fuzz_server(wstest: Path, server: Program, cases: list[str], agent: str, directory: Path) -> str:
    """Runs cases against a server.

    Args:
        wstest: from ``environment.install()``.
        server: what to run.
        cases: their numbers.
        agent: the name to report under.
        directory: where the report and the logs go.

    Returns:
        The server's description of itself.

    Raises:
        RunError: the run did not come to its end.
    """
    log, wstest_log = directory / "server.log", directory / "wstest.log"
    async with _running(server.command, log, env=server.env) as process:
        port, *description = await _first_line(log, process)
        servers = [{"agent": agent, "url": f"ws://127.0.0.1:{port}"}]
        spec: dict[str, object] = {"outdir": str(directory), "servers": servers, "cases": cases}
        async with _running(_command(wstest, "fuzzingclient", spec, directory), wstest_log) as fuzzer:
            await _drive(fuzzer, wstest_log, process, log)
    return " ".join(description)


async def fuzz_client(wstest: Path, client: Program, cases: list[str], agent: str, directory: Path) -> str:
    """Runs cases against a client; see :func:`fuzz_server`."""
    log, wstest_log = directory / "client.log", directory / "wstest.log"
    port = _free_port()
    url = f"ws://127.0.0.1:{port}"
    spec: dict[str, object] = {"url": url, "outdir": str(directory), "cases": cases}
    async with _running(_command(wstest, "fuzzingserver", spec, directory), wstest_log) as fuzzer:
        await _listening(port, fuzzer)
        async with _running([*client.command, url, agent], log, env=client.env) as process:
            description = await _first_line(log, process)
            await _drive(process, log, fuzzer, wstest_log)
    return " ".join(description)
