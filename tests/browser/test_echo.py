"""A real Chromium's WebSocket against our server: messages, and the line that they go over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from .devtools import Browser
from .site import echo, opened, site

MIB = 1 << 20
TEXT = "Grüße, 日本語 🏹 👩\u200d👩\u200d👧 𝄞 \x00 \ufffe \U0010ffff"


# ---------------------------------------------------------------------------------------------------- messages


async def test_text(browser: Browser) -> None:
    async with site() as here, opened(browser, here) as (page, connection):
        await page.run("(text) => peer.socket.send(text)", TEXT)
        assert await connection.recv() == TEXT
        await connection.send(TEXT)
        assert await page.run("() => peer.next()") == TEXT


async def test_lone_surrogate_comes_as_replacement(browser: Browser) -> None:
    async with site(echo) as here, opened(browser, here) as (page, _):
        assert await page.run("() => peer.ask('a\\ud800b')") == "a\ufffdb"


async def test_array_buffer(browser: Browser) -> None:
    async with site() as here, opened(browser, here) as (page, connection):
        await page.run("() => peer.socket.send(Uint8Array.from({ length: 256 }, (_, n) => n).buffer)")
        assert await connection.recv() == bytes(range(256))
        await connection.send(bytes(range(256)))
        is_buffer, numbers = await page.run(
            """async () => {
              const buffer = await peer.next();
              return [buffer instanceof ArrayBuffer, [...new Uint8Array(buffer)]];
            }"""
        )
        assert is_buffer
        assert numbers == list(range(256))


async def test_views_of_an_array_buffer(browser: Browser) -> None:
    async with site() as here, opened(browser, here) as (page, connection):
        await page.run(
            """() => {
              const buffer = Uint8Array.from({ length: 256 }, (_, n) => n).buffer;
              peer.socket.send(new Uint8Array(buffer, 3, 5));
              peer.socket.send(new DataView(buffer, 250));
              peer.socket.send(new Uint16Array([0x4142]));
            }"""
        )
        assert [await connection.recv() for _ in range(3)] == [bytes(range(3, 8)), bytes(range(250, 256)), b"BA"]


async def test_blob(browser: Browser) -> None:
    async with site(echo) as here, opened(browser, here, binaryType="blob") as (page, _):
        answers = await page.run(
            """async () => {
              const { socket } = peer;
              // A Blob is read in the background: what is sent behind it still comes behind it.
              socket.send(new Blob([randomBytes(100_000), "bow"]));
              socket.send("and arrow");
              const [blob, text] = [await peer.next(), await peer.next()];
              return [blob instanceof Blob, blob.size, await blob.slice(-3).text(), text];
            }"""
        )
        assert answers == [True, 100_003, "bow", "and arrow"]


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_one_mebibyte(browser: Browser, compression: Any) -> None:
    # Exactly what is allowed without changing a setting. Random bytes take more than that when they are deflated.
    async with site(echo, compression=compression) as here, opened(browser, here) as (page, _):
        assert await page.run(
            """async (size) => {
              const text = "0123456789abcde\\n".repeat(size / 16);
              const bytes = randomBytes(size);
              return [await peer.ask(text) === text, same(await peer.ask(bytes), bytes)];
            }""",
            MIB,
        ) == [True, True]


async def test_empty_messages(browser: Browser) -> None:
    async with site() as here, opened(browser, here) as (page, connection):
        await page.run("() => { peer.socket.send(''); peer.socket.send(new ArrayBuffer(0)); }")
        assert [await connection.recv(), await connection.recv()] == ["", b""]
        for message in ("", b""):
            await connection.send(message)
            await connection.send(message, compress=True)
        assert await page.run(
            """async () => {
              const messages = [await peer.next(), await peer.next(), await peer.next(), await peer.next()];
              return messages.map((message) => message === "" ? "text" : message.byteLength);
            }"""
        ) == ["text", "text", 0, 0]


async def test_thousand_messages_in_order(browser: Browser) -> None:
    async with site(echo) as here, opened(browser, here) as (page, _):
        assert (
            await page.run(
                """async () => {
              const sent = Array.from({ length: 1000 }, (_, n) => `${n}: ${"x".repeat(n % 300)}`);
              sent.forEach((text) => peer.socket.send(text));
              for (const text of sent) if (await peer.next() !== text) return text;
              return "all";
            }"""
            )
            == "all"
        )


async def test_all_lengths_at_which_the_header_grows(browser: Browser) -> None:
    lengths = [1, 125, 126, 127, 65535, 65536]
    async with site(echo, compression=None) as here, opened(browser, here) as (page, _):
        assert await page.run(
            """async (lengths) => {
              const results = [];
              for (const length of lengths) {
                const bytes = randomBytes(length);
                results.push(same(await peer.ask(bytes), bytes));
              }
              return results;
            }""",
            lengths,
        ) == [True] * len(lengths)


@pytest.mark.parametrize("compress", [False, True])
async def test_fragments_are_one_message(browser: Browser, compress: bool) -> None:
    arrow = "🏹".encode()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"b"
        yield arrow[:2]  # cut inside of a character
        pong = await connection.ping()  # control frames go between fragments
        yield arrow[2:]
        await pong
        yield b""

    async with site() as here, opened(browser, here) as (page, connection):
        await connection.send(["Hello, ", "", "🏹", "!"], compress=compress)
        await connection.send(pieces(), text=True, compress=compress)
        await connection.send([b"\x01" * 1000, b"\x02"], compress=compress)
        assert await page.run("() => peer.next()") == "Hello, 🏹!"
        assert await page.run("() => peer.next()") == "b🏹"
        assert await page.run("async () => [...new Uint8Array(await peer.next())]") == [1] * 1000 + [2]


# ---------------------------------------------------------------------------------------------------- the line


async def test_ping_gets_its_pong(browser: Browser) -> None:
    async with site() as here, opened(browser, here) as (_, connection):
        waiters = [await connection.ping(data) for data in (b"one", "two 🏹", b"\xff" * 125, None)]
        latencies = [await waiter for waiter in waiters]
        assert all(latency > 0 for latency in latencies)
        assert connection.latency == latencies[-1]


async def test_buffered_amount_of_the_page_goes_to_zero(browser: Browser) -> None:
    # More than all buffers on the way hold: the rest stays in the page while nobody receives here.
    count, size = 128, 256 * 1024
    async with site(compression=None) as here, opened(browser, here) as (page, connection):
        waiting = await page.run(
            """(count, size) => {
              for (let n = 0; n < count; n++) peer.socket.send(new Uint8Array(size).fill(n));
              return peer.socket.bufferedAmount;
            }""",
            count,
            size,
        )
        assert waiting > 0
        for number in range(count):
            assert await connection.recv() == bytes([number]) * size
        await page.wait_for("() => peer.socket.bufferedAmount === 0")


async def test_busy_page_does_not_make_our_buffer_grow(browser: Browser) -> None:
    count, size, limit = 512, 65536, 100_000
    amounts = []
    async with site(compression=None, write_limit=limit) as here, opened(browser, here) as (page, connection):
        # The page's thread does nothing else meanwhile, so that no message is taken.
        busy = asyncio.create_task(page.run("() => { const end = Date.now() + 300; while (Date.now() < end); }"))
        for number in range(count):
            await connection.send(number.to_bytes(2, "big") * (size // 2))
            amounts.append(connection.buffered_amount)
        await busy
        assert (
            await page.run(
                """async (count, size) => {
              for (let n = 0; n < count; n++) {
                const view = new DataView(await peer.next());
                if (view.byteLength !== size || view.getUint16(size - 2) !== n) return n;
              }
              return "all";
            }""",
                count,
                size,
            )
            == "all"
        )
    assert max(amounts) <= limit + size + 14


async def test_path_and_headers_of_the_request(browser: Browser) -> None:
    async with site() as here:
        url = f"ws://127.0.0.1:{here.port}/a/%F0%9F%8F%B9/ü?q=ä b"
        async with opened(browser, here, url=url) as (_, connection):
            request = connection.request
            assert request is not None
            assert request.path == "/a/%F0%9F%8F%B9/%C3%BC?q=%C3%A4%20b"
            assert request.headers["Host"] == f"127.0.0.1:{here.port}"
            assert request.headers["Origin"] == here.origin
            assert "Chrome" in request.headers["User-Agent"]


async def test_subprotocol(browser: Browser) -> None:
    async with (
        site(subprotocols=["v2.chat", "v1.chat"]) as here,
        opened(browser, here, protocols=["v1.chat", "v2.chat", "v3.chat"]) as (page, connection),
    ):
        assert connection.subprotocol == await page.run("() => peer.socket.protocol") == "v2.chat"


async def test_no_subprotocol_in_common(browser: Browser) -> None:
    async with site(subprotocols=["v1.chat"]) as here, browser.tabs() as tabs:
        page = await tabs.first(here.url)
        # https://websockets.spec.whatwg.org: a page that names protocols gets one of them, or no connection.
        closed = await page.run("() => new Peer({ protocols: ['other'] }).closed")
        assert closed["code"] == 1006
        assert (await here.connection()).subprotocol is None
