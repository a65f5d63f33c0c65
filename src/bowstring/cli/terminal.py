"""Stdin as lines without blocking the loop, and stdout for people and for pipes."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import threading
import unicodedata
from collections.abc import AsyncIterator

from .failure import printable

__all__ = ["Lines", "Output"]

_READ_SIZE = 64 * 1024


class Lines:
    """The lines of a file descriptor, without their ends: ``async for line in Lines(0)``.

    They are read in a thread: a loop can wait for a terminal or a pipe, but not for a file, nor on Windows. The thread
    is a daemon, and it reads past ``sys.stdin``, whose lock it would otherwise hold while the interpreter ends.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[list[bytes]] = asyncio.Queue()
        self._room = threading.Semaphore(1)  # a huge file shall not be in memory at once

    async def __aiter__(self) -> AsyncIterator[bytes]:
        threading.Thread(target=self._read, name="stdin", daemon=True).start()
        while lines := await self._chunks.get():
            for line in lines:
                yield line
            self._room.release()

    def _read(self) -> None:
        rest: list[bytes] = []  # of the line that has no end yet
        try:
            while chunk := os.read(self._fd, _READ_SIZE):
                head, *lines = chunk.split(b"\n")
                rest.append(head)
                if lines:
                    lines.insert(0, b"".join(rest))
                    rest = [lines.pop()]
                    self._put([line.removesuffix(b"\r") for line in lines])
            if last := b"".join(rest):
                self._put([last])
            self._put([])
        except OSError:  # the terminal is gone
            self._put([])
        except RuntimeError:  # the loop is closed: nobody waits for more
            return

    def _put(self, lines: list[bytes]) -> None:
        """Hands lines over when those before have been taken; none mean the end."""
        self._room.acquire()
        self._loop.call_soon_threadsafe(self._chunks.put_nowait, lines)


class Output:
    """Messages on stdout.

    Args:
        raw_binary: binary messages are written as they are, with nothing between them; otherwise each is a line of
            hexadecimal digits.
    """

    def __init__(self, *, raw_binary: bool) -> None:
        self.interactive = sys.stdin.isatty() and sys.stdout.isatty()
        self._raw_binary = raw_binary
        self._prompting = False

    def prompt(self) -> None:
        """Asks for a line, where somebody is typing."""
        if self.interactive:
            self._write(b"> ")
            self._prompting = True

    def end(self) -> None:
        """Leaves the line of the prompt."""
        if self._prompting:
            self._write(b"\n")
            self._prompting = False

    def show(self, message: str | bytes) -> None:
        """Shows a message.

        Raises:
            BrokenPipeError: nobody reads stdout any more.
        """
        if self.interactive:
            self._show_to_person(message)
        elif isinstance(message, str):
            self._write(message.encode() + b"\n")
        else:
            self._write(message if self._raw_binary else message.hex().encode() + b"\n")

    def _show_to_person(self, message: str | bytes) -> None:
        text = message.hex(" ") if isinstance(message, bytes) else "\n  ".join(map(printable, message.split("\n")))
        text = f"< {text}"
        if not self._prompting:
            self._write(f"{text}\n".encode())
            return
        # What has been typed so far stays below: make room for the message above it, with cursor position saved (ESC 7)
        # before and restored (ESC 8) after, and then as many lines further down as the message has.
        columns = shutil.get_terminal_size().columns
        rows = sum(max(1, -(-_width(line) // columns)) for line in text.split("\n"))
        room = "\n" * rows
        self._write(f"\x1b7{room}\x1b[{rows}A\r\x1b[{rows}L{text}\x1b8\x1b[{rows}B".encode())

    def _write(self, data: bytes) -> None:
        # Blocking on purpose: who reads slowly is not sent more, since nothing is received meanwhile.
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def _width(text: str) -> int:
    """Columns that the text takes in a terminal."""
    return sum(
        2 if unicodedata.east_asian_width(character) in "WF" else 0 if unicodedata.combining(character) else 1
        for character in text
    )
