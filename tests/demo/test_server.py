"""The chat over real connections: our own clients, the page's files, and those who behave badly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import Any

import pytest

import bowstring
from bowstring import codec
from bowstring.demo import server as server_module
from bowstring.demo.chat import Limits
from bowstring.demo.self_check import CheckFailed, self_check
from bowstring.demo.server import ChatServer, ConnectionLine


class Page:
    """What a page does, by our own client."""

    def __init__(self, ws: bowstring.ClientConnection) -> None:
        self.ws = ws

    async def send(self, **event: Any) -> None:
        await self.ws.send(json.dumps(event))

    async def next(self, kind: str) -> dict[str, Any]:
        """The next event of this kind; others are passed over."""
        while True:
            event: dict[str, Any] = json.loads(await self.ws.recv())
            if event["type"] == kind:
                return event

    async def join(self, nick: str, room: str = "lobby", **more: Any) -> dict[str, Any]:
        await self.send(type="join", nick=nick, room=room, **more)
        return await self.next("welcome")

    async def say(self, text: str, ref: str) -> None:
        await self.send(type="say", text=text, ref=ref)

    async def ended(self) -> tuple[int | None, str | None]:
        """Reads on until the connection is closed. Returns the server's code and reason."""
        try:
            async for _ in self.ws:
                pass
        except bowstring.ConnectionClosed:
            pass
        return self.ws.close_code, self.ws.close_reason


@asynccontextmanager
async def page(server: ChatServer, **options: Any) -> AsyncIterator[Page]:
    async with bowstring.connect(f"ws://127.0.0.1:{server.port}/ws", **options) as ws:
        yield Page(ws)


def chat_server(**limits: Any) -> ChatServer:
    return ChatServer("127.0.0.1", 0, limits=Limits(**limits))


async def test_two_people_talk() -> None:
    async with chat_server() as server, page(server) as ada, page(server) as grace:
        welcome = await ada.join("Ada")
        assert (welcome["twin"], welcome["simd"]) == (codec.IMPLEMENTATION, codec.simd_level())
        await grace.join("Grace")
        assert (await ada.next("people"))["joined"] == "Grace"
        await ada.say("Hello 🏹", "r1")
        assert (await grace.next("message"))["text"] == "Hello 🏹"
        await grace.say("x" * 2000, "r2")
        await ada.next("message")
        assert len((await ada.next("message"))["text"]) == 2000


async def test_a_taken_name_and_its_suggestion() -> None:
    async with chat_server() as server, page(server) as ada, page(server) as second:
        await ada.join("Ada")
        await second.send(type="join", nick="ada", room="lobby")
        refused = await second.next("refused")
        assert refused["reason"] == "name-taken"
        assert (await second.join(refused["suggestion"]))["nick"] == "ada 2"


async def test_coming_back_brings_name_and_history() -> None:
    async with chat_server() as server, page(server) as ada:
        await ada.join("Ada")
        async with page(server) as grace:
            token = (await grace.join("Grace"))["token"]
            await ada.say("before", "r1")
            seen = await grace.next("message")
            grace.ws.terminate()
        while (await ada.next("people")).get("away") != "Grace":
            pass
        await ada.say("meanwhile", "r2")
        async with page(server) as again:
            welcome = await again.join("Grace", token=token, epoch=server.chat.epoch, after=seen["id"])
            assert [message["text"] for message in welcome["messages"]] == ["meanwhile"]
            assert (await ada.next("people"))["back"] == "Grace"


async def test_a_server_that_was_started_anew_takes_the_same_people() -> None:
    async with chat_server() as first, page(first) as ada:
        welcome = await ada.join("Ada")
    async with chat_server() as second, page(second) as ada:
        again = await ada.join("Ada", token=welcome["token"], epoch=welcome["epoch"], after=7)
        assert again["epoch"] != welcome["epoch"]
        assert again["token"] != welcome["token"]  # tokens are the server's to give


async def test_garbage_is_answered_and_then_ends_the_connection() -> None:
    async with chat_server(strikes=3) as server, page(server) as vandal:
        for data in ("{", b"\x00\x01", "[1]"):
            await vandal.ws.send(data)
        for _ in range(3):
            assert (await vandal.next("error"))["reason"] == "bad-message"
        assert await vandal.ended() == (1008, "too many malformed messages")


async def test_too_long_a_text_is_refused_and_too_large_a_message_ends_the_connection() -> None:
    async with chat_server() as server, page(server) as ada:
        await ada.join("Ada")
        await ada.say("x" * 2001, "r1")
        error = await ada.next("error")
        assert (error["reason"], error["ref"]) == ("too-long", "r1")
        await ada.say("x" * 20_000, "r2")
        assert (await ada.ended())[0] == 1009


async def test_talking_too_fast() -> None:
    async with chat_server(say_rate=5, say_burst=2) as server, page(server) as ada:
        await ada.join("Ada")
        for number in range(3):
            await ada.say(f"{number}", f"r{number}")
        error = await ada.next("error")
        assert (error["reason"], error["ref"]) == ("rate", "r2")
        await asyncio.sleep(error["retry"])
        await ada.say("2", "r2")
        assert (await ada.next("message"))["text"] == "2"


async def test_a_flood_ends_the_connection() -> None:
    async with chat_server(rate=1, burst=5) as server, page(server) as vandal:
        for _ in range(6):
            await vandal.send(type="ping", id=1)
        assert await vandal.ended() == (1008, "too many messages")


async def test_who_does_not_join_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_TICK", 0.01)
    async with chat_server(join_time=0.05) as server, page(server) as silent:
        assert await silent.ended() == (1008, "nobody joined")


async def test_one_who_reads_slowly_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_MAX_BACKLOG", 100_000)
    async with chat_server(say_rate=1e9, say_burst=1e9, rate=1e9, burst=1e9) as server:
        async with page(server) as ada, page(server) as grace, page(server, max_queue=1, compression=None) as slow:
            await slow.join("Slow")
            await grace.join("Grace")
            await ada.join("Ada")
            lost = asyncio.create_task(_away(grace, "Slow"))
            number = 0
            while not lost.done():  # more than all the buffers between here and there hold
                number += 1
                await ada.say(f"{number} " + "☃" * 1900, f"r{number}")
                assert (await ada.next("message"))["id"] == number
            assert not server.chat.people["slow"].line


async def _away(page: Page, nick: str) -> None:
    while (await page.next("people")).get("away") != nick:
        pass


async def test_leaving() -> None:
    async with chat_server() as server, page(server) as ada:
        await ada.join("Ada")
        await ada.send(type="leave")
        assert await ada.ended() == (1000, "left")
        assert not server.chat.people


async def test_stopping_says_goodbye() -> None:
    async with chat_server() as server:
        async with bowstring.connect(f"ws://127.0.0.1:{server.port}/ws") as ws:
            client = Page(ws)
            await client.join("Ada")
            (code, _), _ = await asyncio.gather(client.ended(), server.stop())
            assert code == 1001


async def test_a_page_of_another_origin_is_refused() -> None:
    async with chat_server() as server:
        with pytest.raises(bowstring.InvalidStatus) as caught:
            await bowstring.connect(f"ws://127.0.0.1:{server.port}/ws", origin="https://example.com")
        assert caught.value.response.status == 403


# ---------------------------------------------------------------- the line


class RecordingConnection:
    def __init__(self) -> None:
        self.calls: list[str] = []

    async def send(self, text: str) -> None:
        self.calls.append(text)

    async def close(self, code: int, reason: str) -> None:
        self.calls.append(f"close {code} {reason}")

    def terminate(self) -> None:
        self.calls.append("terminate")


async def test_a_line_holds_a_bounded_backlog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_MAX_BACKLOG", 100)
    ws = RecordingConnection()
    line = ConnectionLine(ws)  # type: ignore[arg-type]
    line.send("x" * 60)
    line.send("x" * 60)
    line.send("too late")
    assert ws.calls == ["terminate"]


async def test_a_line_sends_what_was_said_before_it_closes() -> None:
    ws = RecordingConnection()
    line = ConnectionLine(ws)  # type: ignore[arg-type]
    line.send("one")
    line.send("two")
    line.close(1000, "left")
    line.close(1008, "too late")
    line.send("too late")
    await line.run()
    assert ws.calls == ["one", "two", "close 1000 left"]


# ---------------------------------------------------------------- HTTP


async def http(server: ChatServer, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    status, *fields = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    return int(status.split()[1]), headers, body


class Links(HTMLParser):
    """Collects what the page loads, and what a strict policy would not let it have."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if value is None:
                continue
            if name in {"src", "href"} and not value.startswith("#"):
                self.loads.append(value)
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}={value}")
            if name == "id":
                self.ids.append(value)


async def test_the_page_and_all_that_it_loads_comes_from_here() -> None:
    async with chat_server() as server:
        status, headers, body = await http(server, "/?room=attic")
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        links = Links()
        links.feed(body.decode())
        assert links.inline == []
        # What tests in a browser hold on to.
        assert {"nick", "room", "join", "message", "send", "log", "people", "banner", "status"} <= set(links.ids)
        assert len(links.ids) == len(set(links.ids))
        assert set(links.loads) == {"/favicon.svg", "/chat.css", "/chat.js"}
        for path in (*links.loads, "/link.js", "/log.js", "/chart.js"):
            status, headers, body = await http(server, path)
            assert (status, headers["content-length"]) == (200, str(len(body)))
            assert b"innerHTML" not in body
            assert b"http://" not in body.replace(b"http://www.w3.org/2000/svg", b"")
            assert b"https://" not in body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/../server.py", 404),
        ("HEAD", "/", 200),
        ("POST", "/", 405),
        ("GET", "/ws", 426),
    ],
)
async def test_other_requests(method: str, path: str, status: int) -> None:
    async with chat_server() as server:
        answer, headers, body = await http(server, path, method)
        assert answer == status
        assert headers["connection"].lower() == "close" or status == 426
        assert (method == "HEAD") == (not body)


async def test_a_full_server_says_so() -> None:
    async with chat_server(people=0) as server, page(server) as ada:
        await ada.send(type="join", nick="Ada", room="lobby")
        assert (await ada.next("refused"))["reason"] == "server-full"
        assert (await http(server, "/ws"))[0] == 503
        assert (await http(server, "/"))[0] == 200


async def test_a_server_that_is_not_running_has_no_port() -> None:
    with pytest.raises(RuntimeError, match="not been started"):
        _ = chat_server().port


# ---------------------------------------------------------------- self-check


async def test_self_check() -> None:
    async with chat_server() as server:
        assert 0 < await self_check(f"ws://127.0.0.1:{server.port}/ws") < 5
        assert not server.chat.people


async def test_self_check_says_what_is_wrong() -> None:
    async with chat_server(people=1) as server:
        with pytest.raises(CheckFailed, match="The server is full"):
            await self_check(f"ws://127.0.0.1:{server.port}/ws")
        with pytest.raises(CheckFailed, match="404"):
            await self_check(f"ws://127.0.0.1:{server.port}/elsewhere")
        port = server.port
    with pytest.raises(CheckFailed, match=r"refused|failed"):
        await self_check(f"ws://127.0.0.1:{port}/ws")


async def test_self_check_notices_silence_and_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(ws: bowstring.ServerConnection) -> None:
        await ws.wait_closed()

    async def liar(ws: bowstring.ServerConnection) -> None:
        async for _ in ws:
            await ws.send('{"type":"welcome"}')
            await ws.send('{"type":"message","text":"something else"}')

    for handler, timeout, complaint in ((silent, 0.1, "no answer within"), (liar, 20.0, "heard 'something else'")):
        monkeypatch.setattr("bowstring.demo.self_check._TIMEOUT", timeout)
        async with bowstring.serve(handler, "127.0.0.1", 0) as server:
            with pytest.raises(CheckFailed, match=complaint):
                await self_check(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws")
