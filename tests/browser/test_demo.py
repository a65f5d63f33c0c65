"""The demo in a real Chromium: people talk, and the server goes away and comes back."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from .demo import ChatPage, Demo
from .devtools import Browser

SCREENS: tuple[dict[str, Any], ...] = (
    {"width": 1440, "height": 900, "phone": False, "scheme": "light"},
    {"width": 1440, "height": 900, "phone": False, "scheme": "dark"},
    {"width": 390, "height": 844, "phone": True, "scheme": "light"},
    {"width": 320, "height": 568, "phone": True, "scheme": "dark"},
)

ARROW = "\N{BOW AND ARROW}"


async def test_two_tabs_talk(browser: Browser, twin: Any) -> None:
    async with Demo() as demo, browser.tabs() as tabs:
        assert f"codec: {twin.IMPLEMENTATION}" in demo.checked
        ada = await ChatPage.joined(tabs, demo.url, "Ada")
        grace = await ChatPage.joined(tabs, demo.url, "Grace")
        await ada.sees("Ada", "Grace")
        await grace.sees("Ada", "Grace")
        talk = [f"Hello, Grace {ARROW}", "Guten Tag, Ada. 👩‍🚀 日本語", "<b onclick=alert(1)>&amp;</b>", "x" * 2000]
        for number, text in enumerate(talk):
            speaker, other = (ada, "Ada") if number % 2 == 0 else (grace, "Grace")
            await speaker.say(text)
            for chat in (ada, grace):
                await chat.hears(other, text)
        assert await ada.texts() == await grace.texts() == talk
        about = await ada.page.run("() => document.querySelector('#about').textContent")
        assert f"codec {twin.IMPLEMENTATION}" in about
        # The round trips of both are measured, shown, and drawn.
        await ada.page.wait_for("() => /^[0-9.]+ (µs|ms)$/.test(document.querySelector('#rtt-now').textContent)")
        await ada.page.wait_for(
            """() => [...document.querySelectorAll("#people .rtt")].every((rtt) => /[0-9]/.test(rtt.textContent))
              && document.querySelector("#chart").childElementCount > 0"""
        )
        assert ada.page.complaints == grace.page.complaints == []


async def test_name_that_is_taken(browser: Browser) -> None:
    async with Demo() as demo, browser.tabs() as tabs:
        first = await ChatPage.joined(tabs, demo.url, "Ada")
        second = await ChatPage.open(tabs, demo.url)
        await second.join("ada")
        await second.page.wait_for("() => /Ada/.test(document.querySelector('#door-error:not([hidden])')?.textContent)")
        nick = await second.page.run("() => document.querySelector('#suggestion:not([hidden])').dataset.nick")
        assert nick.lower() != "ada"
        await second.page.click("#suggestion")
        await second.is_in()
        await first.sees("Ada", nick)
        assert first.page.complaints == second.page.complaints == []


async def test_reload_brings_back_name_and_messages(browser: Browser) -> None:
    async with Demo() as demo, browser.tabs() as tabs:
        ada = await ChatPage.joined(tabs, demo.url, "Ada")
        grace = await ChatPage.joined(tabs, demo.url, "Grace")
        await ada.say("before")
        await grace.hears("Ada", "before")
        await ada.page.goto(demo.url)
        await ada.is_in()
        await ada.hears("Ada", "before")
        await ada.sees("Ada", "Grace")
        await ada.say("after")
        await grace.hears("Ada", "after")
        assert await ada.texts() == await grace.texts() == ["before", "after"]


async def test_rooms(browser: Browser) -> None:
    async with Demo() as demo, browser.tabs() as tabs:
        ada = await ChatPage.joined(tabs, f"{demo.url}#garden", "Ada")
        grace = await ChatPage.joined(tabs, f"{demo.url}?room=garden", "Grace")
        other = await ChatPage.joined(tabs, demo.url, "Linus")
        await ada.sees("Ada", "Grace")
        await other.sees("Linus")
        await ada.say("Only in the garden")
        await grace.hears("Ada", "Only in the garden")
        await other.say("Only in the lobby")
        await other.hears("Linus", "Only in the lobby")
        assert await grace.texts() == ["Only in the garden"]
        assert await other.texts() == ["Only in the lobby"]


async def test_somebody_leaves(browser: Browser) -> None:
    async with Demo() as demo, browser.tabs() as tabs:
        ada = await ChatPage.joined(tabs, demo.url, "Ada")
        grace = await ChatPage.joined(tabs, demo.url, "Grace")
        await grace.page.click("#leave")
        await ada.sees("Ada")
        await grace.page.wait_for("() => !document.querySelector('#door').hidden")
        await grace.join("Grace")
        await grace.is_in()
        await ada.sees("Ada", "Grace")


async def test_tab_that_is_closed_is_away(browser: Browser) -> None:
    async with Demo() as demo, browser.tabs() as tabs:
        ada = await ChatPage.joined(tabs, demo.url, "Ada")
        grace = await ChatPage.joined(tabs, demo.url, "Grace")
        await grace.page.close()
        await ada.page.wait_for("() => document.querySelector('#people [data-nick=Grace].away')")


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_server_goes_away_and_comes_back(browser: Browser, end: str) -> None:
    async with Demo() as demo, browser.tabs() as tabs:
        ada = await ChatPage.joined(tabs, demo.url, "Ada")
        grace = await ChatPage.joined(tabs, demo.url, "Grace")
        await ada.say("before")
        await grace.hears("Ada", "before")

        await (demo.stop() if end == "stop" else demo.kill())
        for chat in (ada, grace):
            await chat.has_banner("Connection lost")
            await chat.has_status("Offline")
        await ada.say("while it was away")
        await ada.page.wait_for("() => document.querySelector('#log .entry.pending')")

        await demo.start()
        for chat in (ada, grace):
            await chat.has_status("Connected")
            await chat.hears("Ada", "while it was away")
        await grace.say("and after")
        for chat in (ada, grace):
            await chat.hears("Grace", "and after")
            await chat.has_banner("")
            assert await chat.texts() == ["before", "while it was away", "and after"]
            # Nothing but the attempts to connect that had to fail.
            assert all("WebSocket connection to" in complaint for complaint in chat.page.complaints)


async def test_server_that_is_not_there(browser: Browser) -> None:
    async with Demo() as demo, browser.tabs() as tabs:
        ada = await ChatPage.open(tabs, demo.url)
        await demo.stop()
        await ada.join("Ada")
        await ada.page.wait_for("() => document.querySelector('#door-error:not([hidden])')?.textContent")


@pytest.mark.one_twin
async def test_page_fits_its_screen(browser: Browser, tmp_path: Path) -> None:
    async with Demo() as demo, browser.tabs() as tabs:
        ada = await ChatPage.open(tabs, demo.url)
        for screen in SCREENS:
            await ada.page.show_on(**screen)
            await fits(ada, screen, "#join", tmp_path, "door")
        await ada.join("Ada")
        await ada.is_in()
        other = await ChatPage.joined(tabs, demo.url, "W" * 24)
        for text in (
            f"A message {ARROW}",
            "w" * 500,
            "Many words. " * 40 + "End.",
            "https://example.com/" + "a/" * 100,
        ):
            await other.say(text)
            await ada.hears("W" * 24, text)
        await ada.page.wait_for("() => /[0-9]/.test(document.querySelector('#rtt-now').textContent)")
        for screen in SCREENS:
            await ada.page.show_on(**screen)
            await fits(ada, screen, "#send", tmp_path, "room")
            if await ada.page.run("() => document.querySelector('#toggle-side').checkVisibility()"):
                await ada.page.click("#toggle-side")
                await ada.page.wait_for("() => document.querySelector('#people').checkVisibility()")
                await fits(ada, screen, "#people", tmp_path, "people")
                await ada.page.click("#toggle-side")
        assert ada.page.complaints == []


async def fits(chat: ChatPage, screen: dict[str, Any], selector: str, directory: Path, name: str) -> None:
    """Nothing goes beyond the edges of the screen, and this element is wholly within; a picture of it is kept."""
    size = screen["width"], screen["height"]
    *content, is_inside = await chat.page.run(
        """(selector) => {
          const { scrollWidth, scrollHeight } = document.scrollingElement;
          const { left, top, right, bottom } = document.querySelector(selector).getBoundingClientRect();
          return [scrollWidth, scrollHeight, left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight];
        }""",
        selector,
    )
    assert tuple(content) == size
    assert is_inside
    picture = await chat.page.screenshot()
    (directory / f"{name}-{screen['width']}-{screen['scheme']}.png").write_bytes(picture)
    assert struct.unpack(">II", picture[16:24]) == size
    assert len(picture) > 5000
