"""Lines of stdin, and messages on a terminal."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bowstring.cli.terminal import Lines, Output

from .conftest import COMMAND, Start

pytestmark = pytest.mark.one_twin
posix = pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal")


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            pass  # the test has done it


async def lines_of(fd: int) -> list[bytes]:
    return [line async for line in Lines(fd)]


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([], []),
        ([b"a\nb\n"], [b"a", b"b"]),
        ([b"a\r\n\r\nb"], [b"a", b"", b"b"]),
        ([b"no ", b"end ", b"for long\nnext", b"\n"], [b"no end for long", b"next"]),
        ([b"\n", b"\n"], [b"", b""]),
    ],
)
async def test_lines(pipe: tuple[int, int], chunks: list[bytes], lines: list[bytes]) -> None:
    ours, theirs = pipe
    reading = asyncio.create_task(lines_of(ours))
    for chunk in chunks:
        os.write(theirs, chunk)
        await asyncio.sleep(0)
    os.close(theirs)
    assert await reading == lines


async def test_lines_are_not_read_ahead(pipe: tuple[int, int]) -> None:
    ours, theirs = pipe
    lines = aiter(Lines(ours))
    os.write(theirs, b"first\n")
    assert await anext(lines) == b"first"
    # What is asked for once more has to be asked for: two reads at most are on their way.
    os.set_blocking(theirs, False)
    written = 0
    for _ in range(50):
        try:
            written += os.write(theirs, b"x" * 4095 + b"\n")
        except BlockingIOError:
            break
        await asyncio.sleep(0.001)
    assert written < 50 * 4096
    os.close(theirs)
    rest = [line async for line in lines]
    assert sum(len(line) + 1 for line in rest) == written


async def test_a_terminal_that_is_gone_is_the_end(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    assert await lines_of(pipe[0]) == []


class Screen:
    """Stands in for stdin and stdout."""

    def __init__(self) -> None:
        self.buffer = io.BytesIO()

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> bytes:
        value = self.buffer.getvalue()
        self.buffer.seek(0)
        self.buffer.truncate()
        return value


def terminal(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A terminal of 20 columns. Not a fixture: pytest exchanges sys.stdout between fixtures and test."""
    screen = Screen()
    monkeypatch.setattr(sys, "stdin", screen)
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "20")
    return screen


def test_what_is_typed_stays_below_what_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    output = Output(raw_binary=False)
    output.show("before the prompt")
    assert screen.shown == b"< before the prompt\n"
    output.prompt()
    assert screen.shown == b"> "
    output.show("one row")
    assert screen.shown == b"\x1b7\n\x1b[1A\r\x1b[1L< one row\x1b8\x1b[1B"
    output.show("18 characters here")  # and two in front of them: a row just full
    assert screen.shown.startswith(b"\x1b7\n\x1b[1A")
    output.show("of 20 characters too")
    assert screen.shown.startswith(b"\x1b7\n\n\x1b[2A\r\x1b[2L")
    output.show("宽" * 10)
    assert screen.shown.startswith(b"\x1b7\n\n\x1b[2A")
    output.show("e\u0301" * 18)
    assert screen.shown.startswith(b"\x1b7\n\x1b[1A")
    output.show("two\nlines")
    assert screen.shown == b"\x1b7\n\n\x1b[2A\r\x1b[2L< two\n  lines\x1b8\x1b[2B"
    output.end()
    output.end()
    assert screen.shown == b"\n"


def test_a_terminal_is_not_at_the_mercy_of_the_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    output = Output(raw_binary=True)
    output.show("\x1b]0;title\x07")
    output.show(b"\x1b[2J")
    assert screen.shown == b"< \\x1b]0;title\\x07\n< 1b 5b 32 4a\n"


@posix
def test_a_conversation_at_a_terminal(start: Start) -> None:
    import pty

    def until(text: bytes) -> None:
        nonlocal shown
        while text not in shown:
            shown += os.read(ours, 4096)
        shown = shown.partition(text)[2]

    with start("serve", "--echo", "--port", 0, "-q") as server:
        ours, theirs = pty.openpty()
        shown = b""
        process = subprocess.Popen(
            [*COMMAND, "connect", server.line().split()[3]], stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        try:
            until(b"(Ctrl-D closes)")
            until(b"> ")
            os.write(ours, b"hello\n")
            until(b"< hello")
            os.write(ours, b"\x04")
            until(b"connection closed with 1000")
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
            os.close(ours)
