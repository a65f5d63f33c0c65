"""How connections with a real Chromium end, from either side, over TCP and TLS."""

from __future__ import annotations

import asyncio
import ssl

import pytest

import bowstring

from .devtools import Browser
from .site import OPEN, echo, opened, site

MIB = 1 << 20
TEXT = "Grüße, 日本語 🏹 👩\u200d👩\u200d👧 𝄞 \x00 \ufffe \U0010ffff"


# ---------------------------------------------------------------------------------------------------- closing


async def test_code_and_reason_of_our_close(browser: Browser) -> None:
    closes = [
        (1000, ""),
        (1001, "going"),
        (1011, "broken"),
        (3000, "x" * 123),
        (4999, "so long, 🏹"),
    ]
    async with site() as here, browser.tabs() as tabs:
        page = await tabs.first(here.url)
        for code, reason in closes:
            await page.run(OPEN)
            connection = await here.connection()
            await connection.close(code, reason)
            assert await page.run("() => peer.closed") == {"code": code, "reason": reason, "wasClean": True}
            assert connection.close_code == code
            assert connection.closed_by == "local"


async def test_our_empty_close(browser: Browser) -> None:
    async with site() as here, opened(browser, here) as (page, connection):
        await connection.close(1005)
        assert await page.run("() => peer.closed") == {"code": 1005, "reason": "", "wasClean": True}
        assert connection.close_code == 1005


async def test_messages_before_our_close_arrive(browser: Browser) -> None:
    async with site() as here, opened(browser, here) as (page, connection):
        for number in range(100):
            await connection.send(str(number))
        await connection.close()
        assert await page.run(
            """async () => {
              const { code } = await peer.closed;
              const messages = [];
              for (let n = 0; n < 100; n++) messages.push(await peer.next());
              return [code, messages.join()];
            }"""
        ) == [1000, ",".join(map(str, range(100)))]


@pytest.mark.parametrize(("outcome", "code"), [("return", 1000), ("raise", 1011)])
async def test_end_of_the_handler(browser: Browser, outcome: str, code: int) -> None:
    async def handler(connection: bowstring.ServerConnection) -> None:
        await connection.recv()
        if outcome == "raise":
            raise RuntimeError("as it should")

    async with site(handler) as here, opened(browser, here) as (page, _):
        closed = await page.run("() => { peer.socket.send('go'); return peer.closed; }")
        assert closed == {"code": code, "reason": "", "wasClean": True}


async def test_code_and_reason_of_the_pages_close(browser: Browser) -> None:
    async with site() as here, browser.tabs() as tabs:
        page = await tabs.first(here.url)
        for code, reason in [(1000, ""), (3000, "enough"), (4999, "bis bald, 🏹")]:
            await page.run(OPEN)
            connection = await here.connection()
            closed = await page.run("(code, reason) => peer.close(code, reason)", code, reason)
            assert (closed["code"], closed["wasClean"]) == (code, True)
            with pytest.raises(bowstring.ConnectionClosed) as caught:
                await connection.recv()
            assert (caught.value.code, caught.value.reason) == (code, reason)
            assert caught.value.rcvd_then_sent is True
            assert isinstance(caught.value, bowstring.ConnectionClosedOK) is (code == 1000)


async def test_pages_empty_close(browser: Browser) -> None:
    async with site() as here, opened(browser, here) as (page, connection):
        assert await page.run("() => peer.close()") == {"code": 1005, "reason": "", "wasClean": True}
        await connection.wait_closed()
        assert (connection.close_code, connection.close_reason) == (1005, "")


async def test_messages_before_the_pages_close_are_answered(browser: Browser) -> None:
    async with site(echo) as here, opened(browser, here) as (page, _):
        # The page's close waits for what it has sent; our answers still come, and then our Close.
        assert (
            await page.run(
                """async () => {
              for (let n = 0; n < 10; n++) peer.socket.send(n);
              const { code } = await peer.close(4000);
              return code;
            }"""
            )
            == 4000
        )


async def test_reset(browser: Browser) -> None:
    async with site() as here, opened(browser, here) as (page, connection):
        connection.terminate()
        assert await page.run("() => peer.closed") == {"code": 1006, "reason": "", "wasClean": False}
        await connection.wait_closed()
        assert connection.close_code == 1006


async def test_page_that_goes_elsewhere(browser: Browser) -> None:
    async with site() as here, opened(browser, here) as (page, connection):
        await page.goto("about:blank")
        await connection.wait_closed()
        assert connection.close_code == 1001


async def test_tab_that_is_closed(browser: Browser) -> None:
    async with site() as here, browser.tabs() as tabs:
        page = await tabs.open(here.url)
        await page.run(OPEN)
        connection = await here.connection()
        await page.close()
        await connection.wait_closed()
        assert connection.close_code == 1001


async def test_server_that_stops(browser: Browser) -> None:
    async with browser.tabs() as tabs:
        async with site() as here:
            page = await tabs.first(here.url)
            await page.run(OPEN)
            await here.connection()
        assert await page.run("() => peer.closed") == {"code": 1001, "reason": "", "wasClean": True}


async def test_message_over_the_limit(browser: Browser) -> None:
    # Refused at its header, while the browser is still sending: our Close has to reach it all the same.
    async with site(max_size=MIB) as here, opened(browser, here) as (page, connection):
        closed = await page.run("(size) => { peer.socket.send(randomBytes(size)); return peer.closed; }", 8 * MIB)
        # Not clean where some of it was not sent any more.
        assert closed["code"] == 1009
        assert closed["reason"].startswith("message is too big")
        with pytest.raises(bowstring.ConnectionClosedError, match="too big"):
            await connection.recv()


async def test_text_that_inflates_over_the_limit(browser: Browser) -> None:
    async with site(max_size=MIB) as here, opened(browser, here) as (page, connection):
        reader = asyncio.create_task(connection.recv())
        closed = await page.run("(size) => { peer.socket.send('a'.repeat(size)); return peer.closed; }", 16 * MIB)
        assert closed["code"] == 1009
        with pytest.raises(bowstring.ConnectionClosedError, match="too big"):
            await reader


# ---------------------------------------------------------------------------------------------------- TLS


async def test_echo_over_tls(browser: Browser, server_tls: ssl.SSLContext) -> None:
    async with site(echo, ssl=server_tls) as here, opened(browser, here) as (page, _):
        assert (await page.run("() => peer.socket.url")).startswith("wss://")
        assert await page.run("(text) => peer.ask(text)", TEXT) == TEXT
        assert await page.run(
            "async (size) => { const bytes = randomBytes(size); return same(await peer.ask(bytes), bytes); }", MIB
        )
        assert await page.run("() => peer.close(4000, 'enough')") == {"code": 4000, "reason": "", "wasClean": True}


async def test_closes_over_tls(browser: Browser, server_tls: ssl.SSLContext) -> None:
    async with site(ssl=server_tls) as here, browser.tabs() as tabs:
        page = await tabs.first(here.url)
        await page.run(OPEN)
        await (await here.connection()).close(4000, "enough")
        assert await page.run("() => peer.closed") == {"code": 4000, "reason": "enough", "wasClean": True}
        await page.run(OPEN)
        (await here.connection()).terminate()
        assert await page.run("() => peer.closed") == {"code": 1006, "reason": "", "wasClean": False}
        await page.run(OPEN)
        connection = await here.connection()
        await page.goto("about:blank")
        await connection.wait_closed()
        assert connection.close_code == 1001


async def test_message_over_the_limit_over_tls(browser: Browser, server_tls: ssl.SSLContext) -> None:
    async with site(ssl=server_tls, max_size=MIB) as here, opened(browser, here) as (page, _):
        closed = await page.run("(size) => { peer.socket.send(randomBytes(size)); return peer.closed; }", 8 * MIB)
        assert closed["code"] == 1009
