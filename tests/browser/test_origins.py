"""Which pages a real Chromium may connect from."""

from __future__ import annotations

from .devtools import Browser
from .site import echo, opened, site


async def test_page_of_the_same_origin(browser: Browser) -> None:
    async with site(echo, origins="same") as here, opened(browser, here) as (page, _):
        assert await page.run("() => peer.ask('hello')") == "hello"


async def test_page_of_another_origin(browser: Browser) -> None:
    async with site() as home, site(origins="same") as other, browser.tabs() as tabs:
        page = await tabs.first(home.url)
        closed = await page.run("(url) => new Peer({ url }).closed", f"ws://127.0.0.1:{other.port}/peer")
        assert closed == {"code": 1006, "reason": "", "wasClean": False}
        (response,) = other.responses
        assert response.status == 403


async def test_another_host_name_is_another_origin(browser: Browser) -> None:
    async with site(origins="same") as here, browser.tabs() as tabs:
        page = await tabs.first(here.url)
        closed = await page.run("(url) => new Peer({ url }).closed", f"ws://localhost:{here.port}/peer")
        assert closed["code"] == 1006
        assert [response.status for response in here.responses] == [403]


async def test_origins_that_are_allowed(browser: Browser) -> None:
    async with site() as home, browser.tabs() as tabs:
        page = await tabs.first(home.url)
        for origins in ([home.origin], None):
            async with site(echo, origins=origins) as other:
                url = f"ws://127.0.0.1:{other.port}/peer"
                assert await page.run("async (url) => (await Peer.open({ url })).ask('hello')", url) == "hello"


async def test_sandboxed_page_has_no_origin(browser: Browser) -> None:
    # Its Origin is "null", which is nobody's.
    async with site(origins="same") as here, browser.tabs() as tabs:
        page = await tabs.first(here.url)
        await page.run(
            """(url) => new Promise((resolve) => {
              addEventListener("message", resolve);
              const frame = document.createElement("iframe");
              frame.sandbox = "allow-scripts";
              frame.srcdoc = `<script>
                new WebSocket("${url}").onclose = ({ code }) => parent.postMessage(code, "*");
              </${"script"}>`;
              document.body.append(frame);
            })""",
            f"ws://127.0.0.1:{here.port}/peer",
        )
        assert [response.status for response in here.responses] == [403]
