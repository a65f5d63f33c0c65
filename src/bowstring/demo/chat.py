"""The chat itself: rooms, who is in them, and what is said to whom. It knows no socket and no clock.

Theory of operation
-------------------
A *line* is what the server has for each WebSocket: it takes text and a close code, and never waits. A :class:`Visitor`
stands between one line and the :class:`Chat`; it judges what comes in. A :class:`Person` is who has a nick name, and
outlives lines: somebody whose line dropped keeps name and place for a while, and gets both back by the token that came
with the welcome. Times are seconds of a clock of the caller's; ``wall`` is what stands beside a message.

Everything on the wire is a JSON object with a ``type``. From the page::

    join   nick, room, token?, epoch?, after?    a name and a room; the last message seen, to get those after it
    say    text, ref                             ref: the page's own mark, so that a repeated message is said once
    ping   id, rtt?                              the last round trip in milliseconds, for the others to see
    leave                                        the name is free from now on

To the page::

    welcome  nick, room, token, epoch, people, messages, missed, twin, simd
    refused  reason, text, suggestion?           the join was not taken
    people   people, joined? left? away? back?
    message  id, nick, text, time, ref
    latency  rtt: {nick: milliseconds}
    pong     id
    error    reason, text, ref?, retry?          retry: say it again after so many seconds
"""

from __future__ import annotations

import json
import math
import re
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from bowstring.constants import CloseCode

from .names import InvalidName, clean_nick, clean_room, name_key, suggest_nick

__all__ = ["REPLACED", "Allowance", "Chat", "Limits", "Line", "Message", "Person", "Room", "Visitor"]

#: Close code (RFC 6455 §7.4.2, private use) for a line whose person came back on another one.
REPLACED = 4001

_REF = re.compile(r"[0-9A-Za-z_-]{1,64}")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one server puts up with.

    Attributes:
        text: characters in a message.
        history: messages kept for each room.
        rooms, people, people_in_room: how many there may be.
        say_rate, say_burst: messages per second, and how many may come at once.
        rate, burst: the same for everything that comes in; whoever is over it is disconnected.
        strikes: malformed things that one line may send before it is closed.
        join_time: seconds that a line may stay without a name.
        away_time: seconds that a name is kept for somebody whose line dropped.
        empty_room_time: seconds that an empty room keeps its messages.
    """

    text: int = 2000
    history: int = 100
    rooms: int = 100
    people: int = 500
    people_in_room: int = 100
    say_rate: float = 4.0
    say_burst: float = 10.0
    rate: float = 30.0
    burst: float = 100.0
    strikes: int = 5
    join_time: float = 10.0
    away_time: float = 30.0
    empty_room_time: float = 600.0


class Line(Protocol):
    """One connection, as the chat sees it. Both calls return at once; after ``close`` nothing more is sent."""

    def send(self, text: str) -> None:
        """Sends one event."""

    def close(self, code: int, reason: str) -> None:
        """Ends the connection after what was sent."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """Something said in a room. ``id`` counts up in each room; ``time`` is in milliseconds since 1970."""

    id: int
    nick: str
    text: str
    time: int
    ref: str


@dataclass(eq=False, kw_only=True)
class Person:
    """Who has a nick name; ``line`` is ``None`` while away."""

    nick: str
    token: str
    room: Room
    line: Line | None
    away_since: float = 0.0
    rtt: float | None = None

    def view(self) -> dict[str, Any]:
        """What others see."""
        return {"nick": self.nick, "rtt": self.rtt, "away": self.line is None}


@dataclass(eq=False, kw_only=True)
class Room:
    """A room: its people in the order in which they came, and its last messages."""

    name: str
    history: deque[Message]
    people: dict[str, Person] = field(default_factory=dict)
    last_id: int = 0
    empty_since: float = 0.0
    latency_changed: bool = False

    def tell(self, event: dict[str, Any], *, but: Person | None = None) -> None:
        """Sends an event to everybody here, but one."""
        text = _dump(event)
        for person in self.people.values():
            if person.line is not None and person is not but:
                person.line.send(text)

    def tell_people(self, change: str, person: Person) -> None:
        """Sends everybody but ``person`` the list of people, with what has changed: joined, left, away or back."""
        self.tell({"type": "people", "people": self.view(), change: person.nick}, but=person)

    def view(self) -> list[dict[str, Any]]:
        """The people, as they see each other."""
        return [person.view() for person in self.people.values()]


class Allowance:
    """A token bucket: ``rate`` a second, ``burst`` at once."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._then = now

    def take(self, now: float) -> float:
        """Takes one. Returns 0, or how many seconds to wait; then nothing was taken."""
        self._left = min(self._burst, self._left + (now - self._then) * self._rate)
        self._then = now
        if self._left < 1:
            return (1 - self._left) / self._rate
        self._left -= 1
        return 0.0


class Chat:
    """All rooms and people of one server.

    Args:
        limits: what to put up with.
        about: goes into every welcome; the server says there which codec runs.
        new_token: makes the secret by which somebody gets a name back.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        about: dict[str, str] | None = None,
        new_token: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self.limits = limits or Limits()
        self.about = about or {}
        self.new_token = new_token
        self.epoch = secrets.token_hex(4)
        """Changes with every start of the server: message numbers of another epoch mean nothing here."""
        self.rooms: dict[str, Room] = {}
        self.people: dict[str, Person] = {}
        self._visitors: set[Visitor] = set()

    def visitor(self, line: Line, now: float) -> Visitor:
        """Takes a new line."""
        visitor = Visitor(self, line, now)
        self._visitors.add(visitor)
        return visitor

    def forget(self, visitor: Visitor) -> None:
        """Drops a line that has ended."""
        self._visitors.discard(visitor)

    def tick(self, now: float) -> None:
        """Does what is due. To be called about once a second."""
        for visitor in list(self._visitors):
            visitor.tick(now)
        for person in list(self.people.values()):
            if person.line is None and now - person.away_since >= self.limits.away_time:
                self.remove(person, now)
        for room in list(self.rooms.values()):
            if not room.people and now - room.empty_since >= self.limits.empty_room_time:
                del self.rooms[room.name]
            elif room.latency_changed:
                room.latency_changed = False
                room.tell(
                    {"type": "latency", "rtt": {p.nick: p.rtt for p in room.people.values() if p.rtt is not None}}
                )

    def person_of(self, token: object) -> Person | None:
        """Who was given this token."""
        if not isinstance(token, str) or not token.isascii():
            return None
        return next((p for p in self.people.values() if secrets.compare_digest(p.token, token)), None)

    def room_for(self, name: str) -> Room | None:
        """The room of this name, made when it is new; ``None`` when there are too many already."""
        room = self.rooms.get(name)
        if room is None and len(self.rooms) >= self.limits.rooms:
            empty = min((r for r in self.rooms.values() if not r.people), key=lambda r: r.empty_since, default=None)
            if empty is None:
                return None
            del self.rooms[empty.name]
        if room is None:
            room = self.rooms[name] = Room(name=name, history=deque(maxlen=self.limits.history))
        return room

    def add(self, nick: str, room: Room, line: Line, token: str) -> Person:
        """Somebody new comes in."""
        person = Person(nick=nick, token=token, room=room, line=line)
        self.people[name_key(nick)] = room.people[name_key(nick)] = person
        room.tell_people("joined", person)
        return person

    def move(self, person: Person, room: Room, now: float) -> None:
        """Somebody goes to another room."""
        self._take_out(person, now)
        person.room = room
        room.people[name_key(person.nick)] = person
        room.tell_people("joined", person)

    def remove(self, person: Person, now: float) -> None:
        """Somebody leaves; the name is free from now on."""
        del self.people[name_key(person.nick)]
        self._take_out(person, now)

    def _take_out(self, person: Person, now: float) -> None:
        room = person.room
        del room.people[name_key(person.nick)]
        room.tell_people("left", person)
        if not room.people:
            room.empty_since = now


class Visitor:
    """One line, and who is at its end. ``person`` is ``None`` until a join was taken."""

    def __init__(self, chat: Chat, line: Line, now: float) -> None:
        self.person: Person | None = None
        self._chat = chat
        self._line = line
        self._since = now
        self._strikes = 0
        self._traffic = Allowance(chat.limits.rate, chat.limits.burst, now)
        self._talk = Allowance(chat.limits.say_rate, chat.limits.say_burst, now)
        self._closed = False

    def receive(self, data: str | bytes, now: float, wall: float) -> None:
        """Handles one message.

        Args:
            data: as it came.
            now: seconds of the chat's clock.
            wall: seconds since 1970.
        """
        if self._closed or (self.person is not None and self.person.line is not self._line):
            return  # what was on its way when the line was closed, or when its person came back on another one
        if self._traffic.take(now):
            self._close(CloseCode.POLICY_VIOLATION, "too many messages")
            return
        event = _load(data)
        match event:
            case {"type": "join", "nick": str(nick), "room": str(room)}:
                self._join(nick, room, event, now)
            case {"type": "say", "text": str(text), "ref": str(ref)} if self.person and _REF.fullmatch(ref):
                self._say(self.person, text, ref, now, wall)
            case {"type": "ping", "id": int(number)} if abs(number) < 2**53:
                self._ping(number, event.get("rtt"))
            case {"type": "leave"} if self.person:
                person, self.person = self.person, None
                self._chat.remove(person, now)
                self._close(CloseCode.NORMAL_CLOSURE, "left")
            case _:
                self._strikes += 1
                self._error("bad-message", "The server does not understand this.")
                if self._strikes >= self._chat.limits.strikes:
                    self._close(CloseCode.POLICY_VIOLATION, "too many malformed messages")

    def gone(self, now: float) -> None:
        """The line has ended. Whoever was at it keeps name and place for a while."""
        self._closed = True
        self._chat.forget(self)
        if self.person is not None and self.person.line is self._line:
            self.person.line = None
            self.person.away_since = now
            self.person.rtt = None
            self.person.room.tell_people("away", self.person)

    def tick(self, now: float) -> None:
        """Ends a line that nobody has joined by."""
        if self.person is None and now - self._since >= self._chat.limits.join_time:
            self._close(CloseCode.POLICY_VIOLATION, "nobody joined")

    def _join(self, nick: str, room_name: str, event: dict[str, Any], now: float) -> None:
        chat = self._chat
        try:
            nick, room_name = clean_nick(nick), clean_room(room_name)
        except InvalidName as exc:
            self._refuse("invalid-name", str(exc))
            return
        person = self.person or chat.person_of(event.get("token"))
        holder = chat.people.get(name_key(nick))
        if holder is not None and holder is not person:
            suggestion = suggest_nick(nick, lambda candidate: name_key(candidate) in chat.people)
            self._refuse("name-taken", f"Somebody here is called {holder.nick} already.", suggestion=suggestion)
            return
        if person is None and len(chat.people) >= chat.limits.people:
            self._refuse("server-full", "The server is full.")
            return
        room = chat.room_for(room_name)
        if room is None:
            self._refuse("too-many-rooms", "There are too many rooms. Please take one that exists.")
            return
        if len(room.people) >= chat.limits.people_in_room and (person is None or person.room is not room):
            self._refuse("room-full", "This room is full.")
            return
        self.person = self._enter(person, nick, room, now)
        self._welcome(self.person, event)

    def _enter(self, person: Person | None, nick: str, room: Room, now: float) -> Person:
        """Seats whoever joins: somebody new, or somebody known who comes back, moves, or takes another name."""
        chat = self._chat
        if person is None:
            return chat.add(nick, room, self._line, chat.new_token())
        old_line, person.line = person.line, self._line
        if old_line is not None and old_line is not self._line:
            old_line.close(REPLACED, "continued elsewhere")
        if person.nick != nick:
            chat.remove(person, now)
            return chat.add(nick, room, self._line, person.token)
        if person.room is not room:
            chat.move(person, room, now)
        elif old_line is None:
            room.tell_people("back", person)
        return person

    def _welcome(self, person: Person, event: dict[str, Any]) -> None:
        """Sends what the page shows first: of the messages, those that it has not seen."""
        room = person.room
        after = event.get("after")
        seen = after if event.get("epoch") == self._chat.epoch and isinstance(after, int) else 0
        messages = [asdict(message) for message in room.history if message.id > seen]
        missed = seen > 0 and bool(messages) and messages[0]["id"] > seen + 1
        self._send(
            type="welcome",
            nick=person.nick,
            room=room.name,
            token=person.token,
            epoch=self._chat.epoch,
            people=room.view(),
            messages=messages,
            missed=missed,
            **self._chat.about,
        )

    def _say(self, person: Person, text: str, ref: str, now: float, wall: float) -> None:
        room = person.room
        for message in reversed(room.history):
            if message.ref == ref and message.nick == person.nick:
                # Said before a reconnect; the page has not seen that it arrived.
                self._send(type="message", **asdict(message))
                return
        text = text.replace("\r\n", "\n").strip("\n").rstrip()
        if not text or _CONTROLS.search(text):
            self._error("bad-text", "This message cannot be shown.", ref=ref)
        elif len(text) > self._chat.limits.text:
            self._error("too-long", f"A message has at most {self._chat.limits.text} characters.", ref=ref)
        elif wait := self._talk.take(now):
            self._error("rate", "Too fast. It will be sent in a moment.", ref=ref, retry=math.ceil(wait * 10) / 10)
        else:
            room.last_id += 1
            message = Message(id=room.last_id, nick=person.nick, text=text, time=int(wall * 1000), ref=ref)
            room.history.append(message)
            room.tell({"type": "message", **asdict(message)})

    def _ping(self, number: int, rtt: object) -> None:
        self._send(type="pong", id=number)
        if self.person is not None and isinstance(rtt, int | float) and 0 <= rtt <= 60_000:
            self.person.rtt = round(float(rtt), 2)
            self.person.room.latency_changed = True

    def _refuse(self, reason: str, text: str, **more: str) -> None:
        self._send(type="refused", reason=reason, text=text, **more)

    def _error(self, reason: str, text: str, **more: Any) -> None:
        self._send(type="error", reason=reason, text=text, **more)

    def _send(self, **event: Any) -> None:
        self._line.send(_dump(event))

    def _close(self, code: int, reason: str) -> None:
        self._closed = True
        self._line.close(code, reason)


def _dump(event: dict[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _load(data: str | bytes) -> Any:
    """The JSON value that came; ``None`` for what is none."""
    if not isinstance(data, str):
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
