"""The chat without sockets: who is told what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bowstring.demo.chat import REPLACED, Allowance, Chat, Limits, Visitor

pytestmark = pytest.mark.one_twin


class Recorder:
    """A line that keeps what is sent on it."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None

    def send(self, text: str) -> None:
        assert self.closed is None
        self.sent.append(json.loads(text))

    def close(self, code: int, reason: str) -> None:
        self.closed = code, reason


class Client:
    """A page, as far as the chat can tell."""

    def __init__(self, chat: Chat, now: float = 0.0) -> None:
        self.line = Recorder()
        self.now = now
        self.visitor: Visitor = chat.visitor(self.line, now)
        self.refs = 0

    def __call__(self, event: object) -> None:
        self.raw(json.dumps(event))

    def raw(self, data: str | bytes) -> None:
        self.visitor.receive(data, self.now, 1_700_000_000.5 + self.now)

    def join(self, nick: str = "Ada", room: str = "lobby", **more: Any) -> dict[str, Any]:
        self({"type": "join", "nick": nick, "room": room, **more})
        return self.line.sent[-1]

    def say(self, text: str, ref: str | None = None) -> None:
        self.refs += 1
        self({"type": "say", "text": text, "ref": ref or f"{id(self)}-{self.refs}"})

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.line.sent if event["type"] == kind]

    @property
    def last(self) -> dict[str, Any]:
        return self.line.sent[-1]


@pytest.fixture
def chat() -> Chat:
    return Chat()


def nicks(event: dict[str, Any]) -> list[str]:
    return [person["nick"] for person in event["people"]]


# ---------------------------------------------------------------- joining


def test_the_first_one_is_welcomed() -> None:
    chat = Chat(about={"twin": "cython"}, new_token=lambda: "secret")
    welcome = Client(chat).join(" Ada ", "#Lobby")
    assert welcome == {
        "type": "welcome",
        "nick": "Ada",
        "room": "lobby",
        "token": "secret",
        "epoch": chat.epoch,
        "people": [{"nick": "Ada", "rtt": None, "away": False}],
        "messages": [],
        "missed": False,
        "twin": "cython",
    }


def test_others_are_told_and_the_newcomer_is_not(chat: Chat) -> None:
    ada, grace, elsewhere = Client(chat), Client(chat), Client(chat)
    ada.join("Ada")
    elsewhere.join("Eve", "attic")
    grace.join("Grace")
    assert ada.last["joined"] == "Grace"
    assert nicks(ada.last) == ["Ada", "Grace"]
    assert [event["type"] for event in grace.line.sent] == ["welcome"]
    assert len(elsewhere.line.sent) == 1


@pytest.mark.parametrize("nick", ["Ada", "ADA", " ada "])
def test_a_taken_name_is_refused_with_a_suggestion(chat: Chat, nick: str) -> None:
    Client(chat).join("Ada")
    second = Client(chat)
    refused = second.join(nick, "attic")  # names are those of the whole server
    assert refused["reason"] == "name-taken"
    assert "called Ada" in refused["text"]
    assert refused["suggestion"] == f"{nick.strip()} 2"
    assert second.join(refused["suggestion"])["type"] == "welcome"


@pytest.mark.parametrize(("nick", "room"), [("", "lobby"), ("a\u202e", "lobby"), ("Ada", ""), ("Ada", "a b")])
def test_invalid_names_are_refused(chat: Chat, nick: str, room: str) -> None:
    assert Client(chat).join(nick, room)["reason"] == "invalid-name"
    assert not chat.people
    assert not chat.rooms


def test_a_token_brings_the_name_back(chat: Chat) -> None:
    first, other = Client(chat), Client(chat)
    token = first.join("Ada")["token"]
    other.join("Grace")
    first.visitor.gone(1.0)
    assert other.last["away"] == "Ada"
    assert other.last["people"][0] == {"nick": "Ada", "rtt": None, "away": True}
    assert Client(chat).join("Ada")["reason"] == "name-taken"
    assert Client(chat).join("Ada", token="guessed")["reason"] == "name-taken"
    assert Client(chat).join("Ada", token="ümlaut")["reason"] == "name-taken"
    assert Client(chat).join("Ada", token=token)["type"] == "welcome"
    assert other.last["back"] == "Ada"


def test_a_token_takes_over_from_a_line_that_is_still_there(chat: Chat) -> None:
    first, other = Client(chat), Client(chat)
    token = first.join("Ada")["token"]
    other.join("Grace")
    told = len(other.line.sent)
    second = Client(chat)
    assert second.join("Ada", token=token)["type"] == "welcome"
    assert first.line.closed == (REPLACED, "continued elsewhere")
    first.say("what was still on its way")
    first.visitor.gone(1.0)
    assert len(other.line.sent) == told  # nothing has happened, for Grace
    second.say("hello")
    assert other.last["nick"] == "Ada"


def test_a_token_with_another_name_renames(chat: Chat) -> None:
    first, other = Client(chat), Client(chat)
    token = first.join("Ada")["token"]
    other.join("Grace")
    second = Client(chat)
    welcome = second.join("Countess", token=token)
    assert welcome["token"] == token
    assert [(e.get("left"), e.get("joined")) for e in other.events("people")] == [("Ada", None), (None, "Countess")]
    assert first.line.closed == (REPLACED, "continued elsewhere")
    first.say("ghost")
    assert not other.events("message")
    assert Client(chat).join("Ada")["type"] == "welcome"


def test_another_room_on_the_same_line(chat: Chat) -> None:
    ada, grace, eve = Client(chat), Client(chat), Client(chat)
    ada.join("Ada", "lobby")
    grace.join("Grace", "lobby")
    eve.join("Eve", "attic")
    welcome = ada.join("Ada", "attic")
    assert welcome["room"] == "attic"
    assert grace.last["left"] == "Ada"
    assert eve.last["joined"] == "Ada"
    ada.say("up here")
    assert eve.events("message")
    assert not grace.events("message")


def test_joining_twice_changes_nothing_for_others(chat: Chat) -> None:
    ada, grace = Client(chat), Client(chat)
    ada.join("Ada")
    grace.join("Grace")
    told = len(ada.line.sent)
    assert grace.join("Grace")["type"] == "welcome"
    assert len(ada.line.sent) == told


# ---------------------------------------------------------------- leaving


def test_leaving_frees_the_name(chat: Chat) -> None:
    ada, grace = Client(chat), Client(chat)
    ada.join("Ada")
    grace.join("Grace")
    ada({"type": "leave"})
    assert ada.line.closed == (1000, "left")
    ada.visitor.gone(1.0)
    assert grace.last["left"] == "Ada"
    assert nicks(grace.last) == ["Grace"]
    assert Client(chat).join("Ada")["type"] == "welcome"


def test_who_stays_away_is_gone(chat: Chat) -> None:
    ada, grace = Client(chat), Client(chat)
    ada.join("Ada")
    grace.join("Grace")
    ada.visitor.gone(100.0)
    chat.tick(129.0)
    assert "left" not in grace.last
    chat.tick(130.0)
    assert grace.last["left"] == "Ada"
    assert Client(chat).join("Ada")["type"] == "welcome"


def test_who_does_not_join_is_disconnected(chat: Chat) -> None:
    silent, ada = Client(chat), Client(chat)
    ada.join("Ada")
    chat.tick(9.0)
    assert silent.line.closed is None
    chat.tick(10.0)
    assert silent.line.closed == (1008, "nobody joined")
    assert ada.line.closed is None
    silent.visitor.gone(11.0)
    chat.tick(12.0)


# ---------------------------------------------------------------- talking


def test_what_is_said_reaches_everybody_in_the_room(chat: Chat) -> None:
    ada, grace, eve = Client(chat), Client(chat), Client(chat)
    ada.join("Ada")
    grace.join("Grace")
    eve.join("Eve", "attic")
    ada.say("Hello 🏹", ref="r-1")
    message = {"type": "message", "id": 1, "nick": "Ada", "text": "Hello 🏹", "time": 1_700_000_000_500, "ref": "r-1"}
    assert ada.last == grace.last == message
    assert not eve.events("message")


def test_text_keeps_its_lines_and_indentation(chat: Chat) -> None:
    ada = Client(chat)
    ada.join()
    ada.say("\n  if a:\r\n\tb\n\n ")
    assert ada.last["text"] == "  if a:\n\tb"


@pytest.mark.parametrize("text", ["", "  \n ", "a\x00b", "\x1b[2J", "a\ud800", "\x85"])
def test_text_that_cannot_be_shown(chat: Chat, text: str) -> None:
    ada = Client(chat)
    ada.join()
    ada.say(text, ref="r")
    assert (ada.last["type"], ada.last["reason"], ada.last["ref"]) == ("error", "bad-text", "r")


def test_text_that_is_too_long(chat: Chat) -> None:
    ada = Client(chat)
    ada.join()
    ada.say("x" * 2000)
    assert ada.last["type"] == "message"
    ada.say("x" * 2001, ref="long")
    assert (ada.last["reason"], ada.last["ref"]) == ("too-long", "long")


def test_a_repeated_message_is_said_once(chat: Chat) -> None:
    ada, grace = Client(chat), Client(chat)
    ada.join("Ada")
    grace.join("Grace")
    ada.say("once", ref="r")
    ada.say("once", ref="r")
    assert len(grace.events("message")) == 1
    first, again = ada.events("message")
    assert first == again
    grace.say("the same mark from somebody else", ref="r")
    assert len(ada.events("message")) == 3


def test_whoever_talks_too_fast_is_told_when_to_go_on() -> None:
    chat = Chat(Limits(say_rate=2, say_burst=3))
    ada = Client(chat)
    ada.join()
    for number in range(5):
        ada.say(f"{number}", ref=f"r{number}")
    assert [event["text"] for event in ada.events("message")] == ["0", "1", "2"]
    assert [(event["ref"], event["retry"]) for event in ada.events("error")] == [("r3", 0.5), ("r4", 0.5)]
    ada.now += 0.5
    ada.say("3", ref="r3")
    assert ada.last["text"] == "3"


def test_a_flood_ends_the_line() -> None:
    chat = Chat(Limits(rate=1, burst=3))
    ada = Client(chat)
    ada.join()
    for number in range(3):
        ada({"type": "ping", "id": number})
    assert ada.line.closed == (1008, "too many messages")
    ada({"type": "ping", "id": 9})  # and is not listened to any more
    assert [event["id"] for event in ada.events("pong")] == [0, 1]


@pytest.mark.parametrize(
    "data",
    [
        "",
        "{",
        "[]",
        "null",
        '"join"',
        "{}",
        '{"type":"dance"}',
        '{"type":"join","nick":1,"room":"a"}',
        '{"type":"join","nick":"Ada"}',
        '{"type":"say","text":"no name yet","ref":"r"}',
        '{"type":"leave"}',
        '{"type":"ping"}',
        '{"type":"ping","id":1e999}',
        '{"type":"ping","id":' + "9" * 5000 + "}",
        "[" * 100_000,
        b'{"type":"ping","id":1}',
    ],
    ids=lambda data: repr(data[:30]),
)
def test_malformed_messages(chat: Chat, data: str | bytes) -> None:
    client = Client(chat)
    for strike in range(1, 6):
        client.raw(data)
        assert client.last["reason"] == "bad-message"
        assert (client.line.closed is not None) is (strike == 5)
    assert client.line.closed == (1008, "too many malformed messages")


@pytest.mark.parametrize("ref", ["", "x" * 65, "a b", "ü", None, 3])
def test_malformed_refs(chat: Chat, ref: object) -> None:
    ada = Client(chat)
    ada.join()
    ada({"type": "say", "text": "x", "ref": ref})
    assert ada.last["reason"] == "bad-message"


# ---------------------------------------------------------------- history


def test_a_newcomer_gets_what_was_said_before(chat: Chat) -> None:
    ada = Client(chat)
    ada.join("Ada")
    ada.say("one")
    ada.say("two")
    assert [message["text"] for message in Client(chat).join("Grace")["messages"]] == ["one", "two"]


def test_who_comes_back_gets_only_what_was_missed(chat: Chat) -> None:
    ada, grace = Client(chat), Client(chat)
    ada.join("Ada")
    token = grace.join("Grace")["token"]
    ada.say("one")
    grace.visitor.gone(1.0)
    ada.say("two")
    ada.say("three")
    back = Client(chat)
    welcome = back.join("Grace", token=token, epoch=chat.epoch, after=1)
    assert [message["text"] for message in welcome["messages"]] == ["two", "three"]
    assert welcome["missed"] is False


@pytest.mark.parametrize("more", [{"epoch": "other", "after": 1}, {"after": 1}, {"epoch": None}, {"after": "1"}, {}])
def test_numbers_of_another_epoch_mean_nothing(chat: Chat, more: dict[str, Any]) -> None:
    ada = Client(chat)
    ada.join("Ada")
    ada.say("one")
    assert len(Client(chat).join("Grace", **more)["messages"]) == 1


def test_history_is_bounded_and_a_gap_is_told() -> None:
    chat = Chat(Limits(history=3))
    ada = Client(chat)
    ada.join("Ada")
    for number in range(1, 7):
        ada.say(f"{number}")
    welcome = Client(chat).join("Grace", epoch=chat.epoch, after=2)
    assert [message["text"] for message in welcome["messages"]] == ["4", "5", "6"]
    assert welcome["missed"] is True
    assert Client(chat).join("Eve", epoch=chat.epoch, after=3)["missed"] is False
    assert Client(chat).join("Dan")["missed"] is False  # a newcomer misses nothing


def test_an_empty_room_keeps_its_history_for_a_while(chat: Chat) -> None:
    ada = Client(chat)
    ada.join("Ada")
    ada.say("one")
    ada({"type": "leave"})
    chat.tick(599.0)
    assert list(chat.rooms) == ["lobby"]
    chat.tick(600.0)
    assert not chat.rooms


# ---------------------------------------------------------------- latency


def test_pings_are_answered_and_round_trips_relayed(chat: Chat) -> None:
    ada, grace = Client(chat), Client(chat)
    ada.join("Ada")
    grace.join("Grace")
    ada({"type": "ping", "id": 1})
    assert ada.last == {"type": "pong", "id": 1}
    ada({"type": "ping", "id": 2, "rtt": 1.2345})
    chat.tick(1.0)
    assert grace.last == {"type": "latency", "rtt": {"Ada": 1.23}}
    told = len(grace.line.sent)
    chat.tick(2.0)
    assert len(grace.line.sent) == told  # nothing new
    assert Client(chat).join("Eve")["people"][0]["rtt"] == 1.23


@pytest.mark.parametrize("rtt", ["fast", -1, 60_001, "NaN", [1], None])
def test_round_trips_that_are_none(chat: Chat, rtt: object) -> None:
    ada = Client(chat)
    ada.join()
    ada.raw('{"type":"ping","id":1,"rtt":%s}' % (rtt if rtt == "NaN" else json.dumps(rtt)))
    chat.tick(1.0)
    assert ada.last == {"type": "pong", "id": 1}


# ---------------------------------------------------------------- limits


def test_rooms_are_bounded_and_empty_ones_give_way() -> None:
    chat = Chat(Limits(rooms=2))
    ada, grace, eve = Client(chat), Client(chat), Client(chat)
    ada.join("Ada", "one")
    grace.join("Grace", "two")
    assert eve.join("Eve", "three")["reason"] == "too-many-rooms"
    assert eve.join("Eve", "two")["type"] == "welcome"
    ada({"type": "leave"})
    assert eve.join("Eve", "three")["type"] == "welcome"
    assert set(chat.rooms) == {"two", "three"}


def test_people_are_bounded() -> None:
    chat = Chat(Limits(people=2))
    Client(chat).join("Ada")
    grace = Client(chat)
    grace.join("Grace")
    assert Client(chat).join("Eve")["reason"] == "server-full"
    assert grace.join("Grace", "attic")["type"] == "welcome"


def test_people_in_a_room_are_bounded() -> None:
    chat = Chat(Limits(people_in_room=1))
    ada, grace = Client(chat), Client(chat)
    token = ada.join("Ada")["token"]
    assert grace.join("Grace")["reason"] == "room-full"
    assert Client(chat).join("Ada", token=token)["type"] == "welcome"  # a seat that is one's own


def test_allowance() -> None:
    allowance = Allowance(rate=2, burst=2, now=0)
    assert [allowance.take(0), allowance.take(0), allowance.take(0)] == [0, 0, 0.5]
    assert allowance.take(0.25) == 0.25
    assert allowance.take(0.5) == 0
    assert [allowance.take(100), allowance.take(100), allowance.take(100)] == [0, 0, 0.5]  # it does not save up
