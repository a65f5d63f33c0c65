"""A real Chromium's WebSocket against our server: messages, closing, compression, origins."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import bowstring
from bowstring.constants import RSV1
from bowstring.protocol.extensions.permessage_deflate import CompressionPool

from .devtools import Browser, Page
from .site import Site, Tap, echo, site

MIB = 1 << 20
TEXT = "Grüße, 日本語 🏹 👩\u200d👩\u200d👧 𝄞 \x00 \ufffe \U0010ffff"

OPEN = "async (options = {}) => { globalThis.peer = await Peer.open(options); }"


@asynccontextmanager
async def opened(
    browser: Browser, here: Site, **options: Any
) -> AsyncIterator[tuple[Page, bowstring.ServerConnection]]:
    """A page of the site whose ``peer`` is connected to it, and our end of that."""
    async with browser.tabs() as tabs:
        page = await tabs.first(here.url)
        await page.run(OPEN, options)
        yield page, await here.connection()


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


# ---------------------------------------------------------------------------------------------------- compression


async def test_compression_is_negotiated(browser: Browser) -> None:
    async with site() as here, opened(browser, here) as (page, _):
        extensions = await page.run("() => peer.socket.extensions")
        name, *parameters = extensions.split("; ")
        assert name == "permessage-deflate"
        assert set(parameters) == {"server_max_window_bits=12", "client_max_window_bits=12"}
        assert here.responses[-1].headers["Sec-WebSocket-Extensions"] == extensions


async def test_without_compression(browser: Browser) -> None:
    async with site(echo, compression=None) as here, opened(browser, here) as (page, _):
        assert await page.run("() => peer.socket.extensions") == ""
        assert await page.run("() => peer.ask('plain')") == "plain"


async def test_both_sides_compress(browser: Browser) -> None:
    text = "".join(f'{{"id": {number}, "name": "user {number * 7919 % 1000}"}}, ' for number in range(100))
    async with site(echo) as here, Tap(here) as tap, opened(browser, tap) as (page, _):
        for _ in range(2):
            assert await page.run("(text) => peer.ask(text)", text) == text
        (line,) = tap.websockets
    for frames in (line.frames_to_server(), line.frames_to_browser()):
        first, again = frames[:2]
        assert first.rsv == again.rsv == RSV1
        assert len(first.payload) < len(text) / 2
        # Context takeover: what was said before is not said again.
        assert len(again.payload) < len(first.payload) / 4


async def test_what_cannot_be_compressed(browser: Browser) -> None:
    message = os.urandom(100_000)
    async with site() as here, Tap(here) as tap, opened(browser, tap) as (page, connection):
        await connection.send(message, compress=True)
        await connection.send(message)  # binary goes as it is
        assert await page.run(
            """async () => {
              const [one, two] = [await peer.next(), await peer.next()];
              peer.socket.send(two);
              return same(one, two);
            }"""
        )
        assert await connection.recv() == message
        (line,) = tap.websockets
    deflated, plain = line.frames_to_browser()[:2]
    assert deflated.rsv == RSV1
    assert plain == message


@pytest.mark.parametrize(
    "settings",
    [
        {"server_no_context_takeover": True},
        {"client_no_context_takeover": True},
        {"server_no_context_takeover": True, "client_no_context_takeover": True},
        {"server_max_window_bits": 9, "client_max_window_bits": 9},
        {"server_max_window_bits": 15, "client_max_window_bits": 15},
        {"server_max_window_bits": 9, "client_max_window_bits": 15, "mem_level": 1, "level": 1},
        {"client_max_window_bits": 8},
    ],
    ids=lambda settings: ",".join(f"{name}={value}" for name, value in settings.items()),
)
async def test_settings_of_compression(browser: Browser, settings: dict[str, Any]) -> None:
    compression = bowstring.Compression(threshold=0, binary=True, **settings)
    async with site(echo, compression=compression) as here, opened(browser, here) as (page, _):
        assert (await page.run("() => peer.socket.extensions")).startswith("permessage-deflate")
        # Longer than any window, repeating itself at distances within, and beyond, each of them.
        assert await page.run(
            """async () => {
              const noise = Array.from(randomBytes(40_000), (byte) => String.fromCharCode(32 + byte % 64)).join("");
              const results = [];
              for (const size of [1, 200, 1000, 5000, 40_000, 5000, 300, 0, 40_000]) {
                const text = noise.slice(0, size) + noise.slice(0, size / 2);
                results.push(await peer.ask(text) === text);
                const bytes = new TextEncoder().encode(text);
                results.push(same(await peer.ask(bytes), bytes));
              }
              return results.every(Boolean);
            }"""
        )


async def test_shared_compressors(browser: Browser) -> None:
    # Eight connections share a pool of one, so that nearly every message has its compressor made again.
    count, rounds = 8, 40
    pool = CompressionPool(max_compressors=1)
    compression = bowstring.Compression(threshold=0, pool=pool)
    async with site(compression=compression) as here, Tap(here) as tap, browser.tabs() as tabs:
        page = await tabs.first(tap.url)
        await page.run(
            "async (count) => { globalThis.peers = []; while (count--) peers.push(await Peer.open()); }", count
        )
        connections = [await here.connection() for _ in range(count)]
        for number in range(rounds):
            for seat, connection in enumerate(connections):
                await connection.send(_quote(seat, number))
        assert pool.live == 1
        received = await page.run(
            """async (rounds) => {
              const received = peers.map(() => []);
              for (let n = 0; n < rounds; n++) {
                for (const [seat, peer] of peers.entries()) {
                  const text = await peer.next();
                  received[seat].push(text);
                  peer.socket.send(text);
                }
              }
              return received;
            }""",
            rounds,
        )
        for seat, connection in enumerate(connections):
            expected = [_quote(seat, number) for number in range(rounds)]
            assert received[seat] == expected
            assert [await connection.recv() for _ in range(rounds)] == expected
        lines = tap.websockets
    assert len(lines) == count
    for line in lines:
        for frames in (line.frames_to_browser(), line.frames_to_server()):
            first, *others = frames[:rounds]
            # Each is read in the light of those before.
            assert all(frame.rsv == RSV1 for frame in others)
            assert max(len(frame.payload) for frame in others) < len(first.payload) / 3


def _quote(seat: int, number: int) -> str:
    price = (seat * 7919 + number * 104729) % 100_000
    return f'{{"symbol": "BOW-{seat}", "exchange": "XLON", "currency": "EUR", "bid": {price}, "sequence": {number}}}'


# ---------------------------------------------------------------------------------------------------- origins


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
