"""The demo as a program of its own, and its page as somebody uses it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from typing import Self

from .devtools import Page, Tabs

__all__ = ["ChatPage", "Demo"]


class Demo:
    """``python -m bowstring demo``, for as long as the block lasts.

    Attributes:
        url: the page's address.
        checked: what the program said of its check of itself.
    """

    def __init__(self) -> None:
        self.url = ""
        self.checked = ""
        self._port = 0
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            await self.stop()

    async def start(self) -> None:
        """Starts it; the second time on the same port."""
        command = [sys.executable, "-m", "bowstring", "demo", "--host", "127.0.0.1", "--port", str(self._port)]
        self._process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        address = await self._line()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", address)
        assert found, address
        self.url, self._port = found[0], int(found[1])
        self.checked = await self._line()

    async def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode()

    async def stop(self) -> None:
        """Asks it to end, as a service manager does."""
        assert self._process is not None
        self._process.terminate()
        status = await self._process.wait()
        self._process = None
        assert status == 0

    async def kill(self) -> None:
        """Ends it without asking."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()
        self._process = None


class ChatPage:
    """One tab with the chat."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    async def open(cls, tabs: Tabs, url: str) -> Self:
        """Opens the page, at its door."""
        chat = cls(await tabs.open(url))
        await chat.page.wait_for("() => !document.querySelector('#door').hidden")
        return chat

    @classmethod
    async def joined(cls, tabs: Tabs, url: str, nick: str) -> Self:
        """Opens the page, and goes in."""
        chat = await cls.open(tabs, url)
        await chat.join(nick)
        await chat.is_in()
        return chat

    async def join(self, nick: str) -> None:
        """Gives a name, and asks to come in."""
        await self.page.type("#nick", nick)
        await self.page.click("#join")

    async def is_in(self) -> None:
        """Waits until the room is there."""
        await self.page.wait_for("() => !document.querySelector('#chat').hidden")

    async def say(self, text: str) -> None:
        """Types a message, and sends it by the Enter key."""
        await self.page.type("#message", text)
        await self.page.press_enter()

    async def hears(self, nick: str, text: str) -> None:
        """Waits until a message of somebody is there, and has arrived at the server."""
        await self.page.wait_for(
            """(nick, text) => [...document.querySelectorAll("#log .entry:not(.pending)")].some((entry) =>
              entry.dataset.nick === nick && entry.querySelector(".text").textContent === text)""",
            nick,
            text,
        )

    async def texts(self) -> list[str]:
        """All messages, in the order in which they stand there."""
        texts: list[str] = await self.page.run(
            "() => [...document.querySelectorAll('#log .text')].map((text) => text.textContent)"
        )
        return texts

    async def sees(self, *nicks: str) -> None:
        """Waits until these are in the list of people, in this order, and nobody else."""
        await self.page.wait_for(
            """(nicks) => [...document.querySelectorAll("#people li .name")].map((name) => name.textContent).join()
              === nicks.join()""",
            nicks,
        )

    async def has_status(self, status: str) -> None:
        """Waits for what is said of the connection."""
        await self.page.wait_for("(status) => document.querySelector('#status').textContent === status", status)

    async def has_banner(self, text: str) -> None:
        """Waits until the banner says something with this in it; empty: until there is none."""
        await self.page.wait_for(
            """(text) => {
              const banner = document.querySelector("#banner");
              return text === "" ? banner.hidden : !banner.hidden && banner.textContent.includes(text);
            }""",
            text,
        )
