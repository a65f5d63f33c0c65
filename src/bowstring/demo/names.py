"""What people and rooms may be called, and when two names are one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from itertools import count

__all__ = ["NICK_LENGTH", "ROOM_LENGTH", "InvalidName", "clean_nick", "clean_room", "name_key", "suggest_nick"]

NICK_LENGTH = 24  # characters
ROOM_LENGTH = 32  # characters

_ZERO_WIDTH_JOINER = "\u200d"  # invisible, and yet what holds many an emoji together
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters and symbols by category that show nothing
_ROOM = re.compile(r"\w[\w-]*")


class InvalidName(ValueError):
    """A name that is not one; the message is meant for the person who typed it."""


def clean_nick(text: str) -> str:
    """A nick name in the form in which it is shown.

    Letters, digits, punctuation, symbols and emoji of any script, single spaces between them. Refused is what cannot
    be seen or changes the look of what stands around it: controls, line breaks, directional marks, lone surrogates.

    Raises:
        InvalidName: it is empty, too long or holds a character that names do not have.
    """
    nick = unicodedata.normalize("NFC", " ".join(text.split()))
    if not nick:
        raise InvalidName("Please type a name.")
    if len(nick) > NICK_LENGTH:
        raise InvalidName(f"A name has at most {NICK_LENGTH} characters.")
    categories = [unicodedata.category(character) for character in nick if character != _ZERO_WIDTH_JOINER]
    if not _BLANK.isdisjoint(nick) or not all(
        category[0] in "LMNPS" or category in {"Zs", "Cn"} for category in categories
    ):
        raise InvalidName("This name has characters in it that cannot be seen.")
    if not any(category[0] in "LNS" for category in categories):
        raise InvalidName("A name needs a letter, a digit or an emoji.")
    return nick


def clean_room(text: str) -> str:
    """A room's name in its only form: letters, digits, ``_`` and ``-``, in lower case.

    Raises:
        InvalidName: it is empty, too long or holds another character.
    """
    room = unicodedata.normalize("NFC", text.strip().lstrip("#")).lower()
    if not room:
        raise InvalidName("Please type a room.")
    if len(room) > ROOM_LENGTH:
        raise InvalidName(f"A room's name has at most {ROOM_LENGTH} characters.")
    if not _ROOM.fullmatch(room):
        raise InvalidName("A room's name is made of letters, digits, - and _.")
    return room


def name_key(nick: str) -> str:
    """What two nick names have in common when they are taken for one: case, width and joiners do not count."""
    return unicodedata.normalize("NFKC", nick).replace(_ZERO_WIDTH_JOINER, "").casefold()


def suggest_nick(nick: str, taken: Callable[[str], bool]) -> str:
    """The nick name with the lowest number behind it that nobody has."""
    for number in count(2):
        suffix = f" {number}"
        candidate = nick[: NICK_LENGTH - len(suffix)].rstrip() + suffix
        if not taken(candidate):
            return candidate
    raise AssertionError("unreachable")
