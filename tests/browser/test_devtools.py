"""Chromium's own WebSocket server, the one behind its DevTools, for our client."""

from __future__ import annotations

import json

import pytest

import bowstring

from .devtools import Browser

MIB = 1 << 20


async def test_compressed_messages_of_megabytes(browser: Browser) -> None:
    async with browser.tabs() as tabs:
        connection = tabs.connection
        assert connection.response is not None
        assert "permessage-deflate" in connection.response.headers["Sec-WebSocket-Extensions"]
        page = await tabs.first("about:blank")
        text = "".join(map(str, range(MIB)))
        assert await page.run("(text) => text + text", text) == text + text


async def test_without_compression(browser: Browser) -> None:
    async with bowstring.connect(browser.url, compression=None) as connection:
        assert connection.response is not None
        assert "Sec-WebSocket-Extensions" not in connection.response.headers
        await connection.send(json.dumps({"id": 1, "method": "Browser.getVersion"}))
        assert "protocolVersion" in json.loads(await connection.recv())["result"]


async def test_fragments_and_pings(browser: Browser) -> None:
    async with bowstring.connect(browser.url) as connection:
        assert await (await connection.ping(b"between")) > 0
        await connection.send(['{"id": 1, "method": ', "", '"Browser.getVersion"}'], compress=True)
        assert json.loads(await connection.recv())["id"] == 1


async def test_close(browser: Browser) -> None:
    connection = await bowstring.connect(browser.url)
    await connection.close(1000, "done")
    assert connection.close_code == 1000
    assert connection.closed_by == "local"


@pytest.mark.one_twin
async def test_its_rejection(browser: Browser) -> None:
    # A page must not drive the browser: it says so to whoever has an Origin.
    with pytest.raises(bowstring.InvalidStatus) as caught:
        await bowstring.connect(browser.url, origin="http://elsewhere.example")
    assert caught.value.response.status == 403
    assert b"elsewhere.example" in caught.value.response.body


@pytest.mark.one_twin
async def test_browser_that_ends(tmp_path_factory: pytest.TempPathFactory) -> None:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    try:
        async with bowstring.connect(browser.url) as connection:
            await connection.send(json.dumps({"id": 1, "method": "Browser.close"}))
            assert json.loads(await connection.recv()) == {"id": 1, "result": {}}
            with pytest.raises(bowstring.ConnectionClosed):
                await connection.recv()
    finally:
        browser.stop()
