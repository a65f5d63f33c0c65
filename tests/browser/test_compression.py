"""permessage-deflate with a real Chromium."""

from __future__ import annotations

import os
from typing import Any

import pytest

import bowstring
from bowstring.constants import RSV1
from bowstring.protocol.extensions.permessage_deflate import CompressionPool

from .devtools import Browser
from .site import Tap, echo, opened, site


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
