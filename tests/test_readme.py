"""README.md: its programs run, and its table of defaults is true."""

from __future__ import annotations

import asyncio
import inspect
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import bowstring
from bowstring import codec

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SERVER, CLIENT, CODEC = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
START = "asyncio.run(main())\n"


def main_of(program: str, port: int) -> Callable[[], Awaitable[None]]:
    """The ``main`` of a program whose last line runs it."""
    assert program.endswith(START)
    names: dict[str, Any] = {}
    exec(program.removesuffix(START).replace("8765", str(port)), names)
    return names["main"]


async def test_the_client_talks_to_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = asyncio.create_task(main_of(SERVER, port)())
    client = main_of(CLIENT, port)
    while True:
        try:
            await client()
        except ConnectionRefusedError:  # not yet
            assert not server.done()
        else:
            break
    server.cancel()
    with pytest.raises(asyncio.CancelledError):
        await server
    echo, latency = capsys.readouterr().out.splitlines()
    assert echo == "Hello, Grüße, 👋"
    assert re.fullmatch(r"\d+\.\d\d ms there and back", latency)


@pytest.mark.one_twin
def test_eight_lines() -> None:
    for program in (SERVER, CLIENT):
        assert len([line for line in program.splitlines() if line]) == 8


def test_the_codec_by_itself() -> None:
    *setup, last = CODEC.splitlines()
    expression, comment = last.split("  # ")
    names: dict[str, Any] = {"codec": codec}
    exec("\n".join(setup), names)
    assert eval(expression, names) == eval(comment)


@pytest.mark.one_twin
def test_the_table_of_defaults() -> None:
    rows = re.findall(r"^\| (.*) \| (.*) \| (`\w.*`) \|$", README, re.MULTILINE)
    said = {name: text for _, text, names in rows for name in re.findall(r"`(\w+)`", names)}
    serve = inspect.signature(bowstring.serve).parameters
    real = {name: serve[name].default for name in said}
    assert real == {
        "open_timeout": 10,
        "close_timeout": 10,
        "write_timeout": 20,
        "ping_interval": 20,
        "ping_timeout": 20,
        "max_size": 1 << 20,
        "max_fragments": 16_384,
        "max_queue": (16, 1 << 20),
        "write_limit": 32 * 1024,
        "compression": "deflate",
        "origins": "same",
    }
    for name, number in {
        "open_timeout": "10 s",
        "close_timeout": "10 s",
        "write_timeout": "20 s",
        "ping_interval": "every 20 s",
        "ping_timeout": "within 20 s",
        "max_size": "1 MiB",
        "max_fragments": "16,384",
        "max_queue": "16, or 1 MiB",
        "write_limit": "32 KiB",
    }.items():
        assert number in said[name]


@pytest.mark.one_twin
def test_every_link_within_the_project_leads_somewhere() -> None:
    for page in Path(__file__).parents[1].glob("*.md"):
        for link in re.findall(r"\]\((?!https?://)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
